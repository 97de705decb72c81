// Waiting on levels, and saying what happened.

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * Waits until `holds()` is true, looking again every few ms. Fails with `what`, and with whatever `seen()` tells, after `within` ms.
 * Both may be asynchronous.
 */
export async function until (what, holds, { within = 10_000, every = 3, seen = () => '' } = {}) {
  const started = performance.now()
  while (!(await holds())) {
    if (performance.now() - started > within) {
      const told = await seen()
      throw new Error(`waited ${within} ms in vain: ${what}${told === '' ? '' : `; seen: ${told}`}`)
    }
    await sleep(every)
  }
  return performance.now() - started
}

/** A line of the story, among the lines of the test runner. */
export function say (line) {
  process.stdout.write(`    | ${line}\n`)
}

/** A seed for one run, printed, so that a failed run can be repeated with ATLAS_SEED. */
export function seeded () {
  const seed = process.env.ATLAS_SEED === undefined
    ? Math.floor(Math.random() * 2 ** 32)
    : Number(process.env.ATLAS_SEED) >>> 0
  say(`seed ${seed} (repeat with ATLAS_SEED=${seed})`)
  return random(seed)
}

/** Numbers in [0, 1) that one seed repeats: a 32-bit Weyl sequence through a mixer. */
export function random (seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let z = state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32
  }
}
