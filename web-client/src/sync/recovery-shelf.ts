// The recovery files of one design: in the database, and in memory where there is none.

import type { DesignStore } from './store'
import type { RecoveryFile } from './types'

export class RecoveryShelf {
  store: DesignStore | null = null
  /** How many the database has, as last heard. */
  stored = 0
  #loose: RecoveryFile[] = []

  get count(): number {
    return this.stored + this.#loose.length
  }

  /** A file that the database has by now; without one, this is where it stays. */
  put(file: RecoveryFile): void {
    if (this.store === null) this.#loose.push(file)
    else this.stored += 1
  }

  /** A new file: in memory until the database has it. Rejects with `StorageTrouble`, and it stays in memory then. */
  async keep(file: RecoveryFile): Promise<void> {
    this.#loose.push(file)
    if (this.store === null) return
    await this.store.keepRecovery(file)
    this.#loose = this.#loose.filter(({ id }) => id !== file.id)
    this.stored += 1
  }

  async all(): Promise<RecoveryFile[]> {
    return [...((await this.store?.recoveries()) ?? []), ...this.#loose]
  }

  async discard(id: string): Promise<void> {
    this.#loose = this.#loose.filter(file => file.id !== id)
    await this.store?.discardRecovery(id)
    this.stored = (await this.store?.summary())?.recoveries ?? 0
  }
}
