// Short messages at the edge of the page, as a small store without a framework: whoever has something to say says it from anywhere.

export type ToastTone = 'neutral' | 'ok' | 'warn' | 'danger'

export interface ToastAction {
  label: string
  run: () => void
}

export interface Toast {
  readonly id: string
  readonly tone: ToastTone
  readonly message: string
  readonly action: ToastAction | null
  /** For browser stories, where the words are not enough. */
  readonly testId: string | null
}

export interface ToastOptions {
  tone?: ToastTone
  action?: ToastAction
  /** A toast with the same id is replaced, not repeated. */
  id?: string
  /** Milliseconds until it goes by itself; null: it stays until it is closed. A toast with an action stays. */
  lastsMs?: number | null
  testId?: string
}

const LASTS_MS = 6_000
/** More than these nobody reads: the oldest that would have gone by itself goes first. */
const TOASTS_MAX = 5

let toasts: readonly Toast[] = []
let made = 0
const listeners = new Set<() => void>()
const timers = new Map<string, ReturnType<typeof setTimeout>>()

export const currentToasts = (): readonly Toast[] => toasts

export function subscribeToasts(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Shows a message and returns its id. */
export function toast(message: string, options: ToastOptions = {}): string {
  const { tone = 'neutral', action, testId } = options
  made += 1
  const id = options.id ?? `toast-${made}`
  const next: Toast = { id, tone, message, action: action ?? null, testId: testId ?? null }
  stopTimer(id)
  const lasts = options.lastsMs === undefined ? (action === undefined ? LASTS_MS : null) : options.lastsMs
  if (lasts !== null) {
    timers.set(
      id,
      setTimeout(() => dismissToast(id), lasts)
    )
  }
  const known = toasts.some(each => each.id === id)
  change(known ? toasts.map(each => (each.id === id ? next : each)) : [...toasts, next])
  const passing = toasts.filter(each => timers.has(each.id))
  if (TOASTS_MAX < toasts.length && passing[0] !== undefined) dismissToast(passing[0].id)
  return id
}

export function dismissToast(id: string): void {
  stopTimer(id)
  if (toasts.some(each => each.id === id)) change(toasts.filter(each => each.id !== id))
}

function stopTimer(id: string): void {
  clearTimeout(timers.get(id))
  timers.delete(id)
}

function change(next: readonly Toast[]): void {
  toasts = next
  for (const listener of [...listeners]) listener()
}
