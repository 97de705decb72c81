// The keys that belong to the canvas itself: arrows move what is selected, Escape gives a drag up, F2 writes a label. Everything else is
// a command's (`commands/`).

import { onLeaving } from '../ui/use-leaving'
import type { CanvasStore } from './canvas-store'

/** Canvas units for one press; with Shift. */
const STEP = 5
const LONG_STEP = 20

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1]
}
const MODIFIERS = new Set(['Shift', 'Control', 'Alt', 'Meta', 'CapsLock'])
const FIELDS = 'input, textarea, select, [contenteditable]'

/**
 * Listens on the window, since nothing has the focus after a click beside everything, and before anybody else: React Flow would move the
 * nodes itself, without writing it. Returns how to stop.
 */
export function listenForCanvasKeys(store: CanvasStore, canvas: HTMLElement): () => void {
  const keydown = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.isComposing || MODIFIERS.has(event.key)) return
    if (takes(event, store, canvas)) {
      event.preventDefault()
      event.stopPropagation()
    }
  }
  const elsewhere = (event: PointerEvent) => {
    // Whatever is pressed next, undo for one, acts upon what was moved.
    if (event.button === 0) store.settle()
  }
  window.addEventListener('keydown', keydown, true)
  window.addEventListener('pointerdown', elsewhere, true)
  const stay = onLeaving(store.settle)
  return () => {
    window.removeEventListener('keydown', keydown, true)
    window.removeEventListener('pointerdown', elsewhere, true)
    stay()
  }
}

function takes(event: KeyboardEvent, store: CanvasStore, canvas: HTMLElement): boolean {
  if (event.key === 'Escape' && store.dragging) {
    store.giveUp()
    return true
  }
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey
  const arrow = plain ? ARROWS[event.key] : undefined
  if (arrow === undefined) store.settle()
  if (!isOurs(event.target, canvas)) return false
  if (arrow !== undefined) {
    const step = event.shiftKey ? LONG_STEP : STEP
    return store.nudge(arrow[0] * step, arrow[1] * step)
  }
  const [alone, another] = store.state.selection.nodes
  if (event.key === 'F2' && plain && alone !== undefined && another === undefined) {
    store.edit(alone)
    return true
  }
  return false
}

/** On the canvas or on nothing at all, and not where somebody types. */
function isOurs(target: EventTarget | null, canvas: HTMLElement): boolean {
  if (!(target instanceof Element) || target.closest(FIELDS) !== null) return false
  return target === document.body || target === document.documentElement || canvas.contains(target)
}
