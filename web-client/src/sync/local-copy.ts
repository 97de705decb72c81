// What this device keeps of one design, as the session sees it: the database if there is one, recovery files, and what does not work.

import { StorageTrouble, trouble } from './idb'
import { remember } from './local-designs'
import { databaseName } from './records'
import { RecoveryShelf } from './recovery-shelf'
import type { OpenDesign } from './session-options'
import { DesignStore, type Loaded } from './store'
import type { RecoveryFile } from './types'

/** The gravest first. `listing`: the design is here, and the list of those that are here does not tell. */
const DOINGS = ['having', 'reading', 'writing', 'listing'] as const
type Doing = (typeof DOINGS)[number]

export class LocalCopy {
  readonly #changed: () => void
  /** Null: nothing can be kept here. */
  store: DesignStore | null = null
  readonly shelf = new RecoveryShelf()
  readonly #troubles = new Map<Doing, string>()
  #hasAskedToPersist = false

  constructor(changed: () => void) {
    this.#changed = changed
  }

  /** Reads what is here. Null: nothing can be kept or read here, which `trouble` then tells; what may be stored is left as it is. */
  async open({ server, user, design }: OpenDesign, factory: IDBFactory | null): Promise<Loaded | null> {
    let store: DesignStore | null = null
    try {
      if (factory === null) throw new StorageTrouble('This browser keeps nothing on this device.')
      store = await DesignStore.open(factory, databaseName(server, user, design), why =>
        this.note('having', why.message)
      )
      const loaded = await store.load()
      await this.#list(server, user, design, factory)
      this.store = store
      this.shelf.store = store
      this.shelf.stored = loaded.recoveries
      return loaded
    } catch (error) {
      await store?.close()
      this.note('having', trouble(error).message)
      return null
    }
  }

  /** A list that does not work is no reason not to use what is here. */
  async #list(server: string, user: string, design: string, factory: IDBFactory): Promise<void> {
    try {
      await remember(server, user, design, factory)
    } catch (error) {
      const why = trouble(error).message
      this.note(
        'listing',
        `This design is kept on this device, but may be missing from the list of designs here. ${why}`
      )
    }
  }

  /** Why edits may not be kept here, in words for people. */
  get trouble(): string | null {
    const worst = DOINGS.find(doing => this.#troubles.has(doing))
    return worst === undefined ? null : (this.#troubles.get(worst) ?? null)
  }

  /** What does not work, and why; null: it does again. */
  note(doing: Doing, why: string | null): void {
    if (why === null) this.#troubles.delete(doing)
    else this.#troubles.set(doing, why)
    this.#changed()
  }

  async keep(file: RecoveryFile): Promise<void> {
    const kept = this.shelf.keep(file)
    this.#changed()
    try {
      await kept
    } catch (error) {
      this.note('writing', trouble(error).message)
    }
    this.#changed()
  }

  /** Asks the browser, once, not to clear what is here when the disk fills up. */
  askToPersist(): void {
    if (this.#hasAskedToPersist) return
    this.#hasAskedToPersist = true
    void globalThis.navigator?.storage?.persist?.().catch(() => {})
  }
}
