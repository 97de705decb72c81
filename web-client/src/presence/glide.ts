// Moves elements towards the points at which they are aimed, frame by frame, by writing their transforms. One loop for all of them,
// which runs only while something moves.

import type { Point } from '../design/elements'
import { type Spring, stepSpring } from './spring'

/** Something that has not been aimed anew for so long fades out. */
export const STILL_AFTER_MS = 10_000
/** A tab in the background gets no frames: what it missed is not played back slowly. */
const FRAME_SECONDS_MAX = 0.1

/** The browser, or a test. */
export interface Stage {
  requestFrame(callback: (timeMs: number) => void): number
  cancelFrame(handle: number): void
  /** True: elements jump instead of gliding. */
  reducedMotion(): boolean
}

export const browserStage: Stage = {
  requestFrame: callback => requestAnimationFrame(callback),
  cancelFrame: handle => cancelAnimationFrame(handle),
  reducedMotion: () => matchMedia('(prefers-reduced-motion: reduce)').matches
}

interface Glide {
  element: HTMLElement
  aim: Point
  x: Spring
  y: Spring
  moving: boolean
  fade: ReturnType<typeof setTimeout>
}

export class Glider {
  readonly #stage: Stage
  readonly #glides = new Map<number, Glide>()
  #frame: number | null = null
  #lastMs: number | null = null

  constructor(stage: Stage = browserStage) {
    this.#stage = stage
  }

  /** Puts an element where it is now aimed: the first point is not glided to. */
  add(id: number, element: HTMLElement, at: Point): void {
    this.remove(id)
    const glide: Glide = {
      element,
      aim: at,
      x: { value: at.x, velocity: 0 },
      y: { value: at.y, velocity: 0 },
      moving: false,
      fade: setTimeout(() => fadeOut(element), STILL_AFTER_MS)
    }
    this.#glides.set(id, glide)
    element.removeAttribute('data-still')
    place(glide)
  }

  remove(id: number): void {
    clearTimeout(this.#glides.get(id)?.fade)
    this.#glides.delete(id)
  }

  aim(id: number, at: Point): void {
    const glide = this.#glides.get(id)
    if (glide === undefined || (glide.aim.x === at.x && glide.aim.y === at.y)) return
    glide.aim = at
    clearTimeout(glide.fade)
    glide.fade = setTimeout(() => fadeOut(glide.element), STILL_AFTER_MS)
    glide.element.removeAttribute('data-still')
    if (this.#stage.reducedMotion()) {
      glide.x = { value: at.x, velocity: 0 }
      glide.y = { value: at.y, velocity: 0 }
      place(glide)
      return
    }
    glide.moving = true
    this.#frame ??= this.#stage.requestFrame(this.#step)
  }

  stop(): void {
    if (this.#frame !== null) this.#stage.cancelFrame(this.#frame)
    this.#frame = null
    for (const id of [...this.#glides.keys()]) this.remove(id)
  }

  readonly #step = (timeMs: number): void => {
    const seconds = this.#lastMs === null ? 1 / 60 : Math.min((timeMs - this.#lastMs) / 1000, FRAME_SECONDS_MAX)
    let moving = false
    for (const glide of this.#glides.values()) {
      if (!glide.moving) continue
      const restsAcross = stepSpring(glide.x, glide.aim.x, seconds)
      const restsDown = stepSpring(glide.y, glide.aim.y, seconds)
      glide.moving = !(restsAcross && restsDown)
      moving ||= glide.moving
      place(glide)
    }
    this.#lastMs = moving ? timeMs : null
    this.#frame = moving ? this.#stage.requestFrame(this.#step) : null
  }
}

/** `--unzoom`, 1 / zoom of the canvas, is set once on the layer around all of them: a cursor keeps its size on the screen. */
function place({ element, x, y }: Glide): void {
  element.style.transform = `translate(${x.value.toFixed(2)}px, ${y.value.toFixed(2)}px) scale(var(--unzoom, 1))`
}

function fadeOut(element: HTMLElement): void {
  element.setAttribute('data-still', '')
}
