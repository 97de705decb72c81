// Mulberry32: the same numbers for the same seed.

export class Rng {
  constructor (seed) {
    this.state = seed | 0
  }

  /** A number from 0 on and below 1. */
  next () {
    this.state = (this.state + 0x6d2b79f5) | 0
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }

  below (n) {
    return Math.floor(this.next() * n)
  }

  chance (p) {
    return this.next() < p
  }

  pick (list) {
    return list[this.below(list.length)]
  }
}
