/** Those who want to hear of something that happens, and that is no state. */
export class Listeners<T> {
  readonly #listeners = new Set<(told: T) => void>()

  /** Returns how to stop. */
  subscribe(listener: (told: T) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  tell(told: T): void {
    for (const listener of [...this.#listeners]) listener(told)
  }
}
