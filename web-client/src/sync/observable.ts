// A state that others watch: a new object whenever anything in it changed, and silence while nothing did.

export class Observable<State extends object> {
  #state: State
  #hasEnded = false
  readonly #listeners = new Set<() => void>()

  constructor(state: State) {
    this.#state = state
  }

  get state(): State {
    return this.#state
  }

  set(state: State): void {
    if (this.#hasEnded || isSame(state, this.#state)) return
    this.#state = state
    for (const listener of [...this.#listeners]) listener()
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The last state there is: everybody is told, and nobody is told anything after it. */
  end(state: State): void {
    this.set(state)
    this.#hasEnded = true
    this.#listeners.clear()
  }
}

/** Flat objects inside of a flat object are compared by what is in them. */
function isSame(a: unknown, b: unknown, depth = 2): boolean {
  if (Object.is(a, b)) return true
  if (depth === 0 || typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  const [left, right] = [Object.entries(a), new Map<string, unknown>(Object.entries(b))]
  return (
    left.length === right.size &&
    left.every(([key, value]) => right.has(key) && isSame(value, right.get(key), depth - 1))
  )
}
