// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Glider, STILL_AFTER_MS, type Stage } from './glide'
import { stepSpring } from './spring'

describe('the spring', () => {
  it('settles exactly at its aim without ever swinging past it', () => {
    const spring = { value: 0, velocity: 0 }
    const way: number[] = []
    let frames = 0
    while (!stepSpring(spring, 100, 1 / 60)) {
      way.push(spring.value)
      frames += 1
      expect(frames).toBeLessThan(120)
    }
    expect(spring).toEqual({ value: 100, velocity: 0 })
    expect(way).toEqual([...way].sort((a, b) => a - b))
    expect(Math.max(...way)).toBeLessThanOrEqual(100)
  })

  it('comes to the same place however long the frames are', () => {
    const [smooth, jerky] = [
      { value: 0, velocity: 0 },
      { value: 0, velocity: 0 }
    ]
    for (let frame = 0; frame < 12; frame++) stepSpring(smooth, 100, 1 / 120)
    stepSpring(jerky, 100, 0.1)
    expect(smooth.value).toBeCloseTo(jerky.value, 6)
  })
})

/** Frames when the test says so. */
function stage(reduced = false) {
  let waiting: ((timeMs: number) => void) | null = null
  let timeMs = 0
  const made: Stage = {
    requestFrame: callback => {
      waiting = callback
      return 1
    },
    cancelFrame: () => {
      waiting = null
    },
    reducedMotion: () => reduced
  }
  return {
    made,
    idle: () => waiting === null,
    frame() {
      timeMs += 16
      const callback = waiting
      waiting = null
      callback?.(timeMs)
    }
  }
}

const xOf = (element: HTMLElement): number => Number(/translate\(([-\d.]+)px/.exec(element.style.transform)?.[1])

describe('the glider', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('stands at its first point at once, glides to the next, and then asks for no more frames', () => {
    const { made, idle, frame } = stage()
    const glider = new Glider(made)
    const element = document.createElement('div')
    glider.add(1, element, { x: 10, y: 10 })
    expect(xOf(element)).toBe(10)
    expect(idle()).toBe(true)
    glider.aim(1, { x: 110, y: 10 })
    frame()
    expect(xOf(element)).toBeGreaterThan(10)
    expect(xOf(element)).toBeLessThan(110)
    for (let count = 0; !idle(); count++) {
      expect(count).toBeLessThan(200)
      frame()
    }
    expect(xOf(element)).toBe(110)
  })

  it('jumps where people want no motion', () => {
    const { made, idle } = stage(true)
    const glider = new Glider(made)
    const element = document.createElement('div')
    glider.add(1, element, { x: 0, y: 0 })
    glider.aim(1, { x: 300, y: 0 })
    expect(xOf(element)).toBe(300)
    expect(idle()).toBe(true)
  })

  it('fades what has been still for ten seconds, and shows it again when it moves', () => {
    const glider = new Glider(stage().made)
    const element = document.createElement('div')
    glider.add(1, element, { x: 0, y: 0 })
    vi.advanceTimersByTime(STILL_AFTER_MS - 1)
    expect(element.hasAttribute('data-still')).toBe(false)
    vi.advanceTimersByTime(1)
    expect(element.hasAttribute('data-still')).toBe(true)
    glider.aim(1, { x: 1, y: 0 })
    expect(element.hasAttribute('data-still')).toBe(false)
    glider.stop()
    vi.advanceTimersByTime(STILL_AFTER_MS)
    expect(element.hasAttribute('data-still')).toBe(false)
  })
})
