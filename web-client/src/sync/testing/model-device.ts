// One device of Ann's beside a server that moves only when the story says so.

import { IDBFactory, IDBKeyRange } from 'fake-indexeddb'
import { CredentialError } from '../credentials'
import { localDesigns } from '../local-designs'
import { openDesign } from '../session'
import type { OpenDesign, Outside } from '../session-options'
import type { DesignSession } from '../types'
import { ModelServer } from './model-server'
import { until } from './wait'

globalThis.IDBKeyRange = IDBKeyRange

export const SERVER = 'http://atlas.test'

/** All of its functions can be taken apart from it. `tabs`: where the tabs are noted, for whoever closes them. */
export class ModelDevice {
  readonly indexedDB = new IDBFactory()

  constructor(
    private readonly tabs: DesignSession[],
    readonly server = new ModelServer()
  ) {}

  readonly open = (
    outside: Partial<Outside> = {},
    ticket: OpenDesign['credentials']['ticket'] = async () => 't'
  ): DesignSession => {
    const tab = openDesign({
      server: SERVER,
      user: 'ann',
      design: 'd',
      credentials: { ticket, accessToken: async () => 'token' },
      outside: {
        indexedDB: this.indexedDB,
        openSocket: this.server.open,
        page: { isVisible: () => true, onWake: () => () => {}, onHide: () => () => {} },
        random: () => 0,
        pollMs: 5,
        ...outside
      }
    })
    this.tabs.push(tab)
    return tab
  }

  /** A tab that never gets through to the server. */
  readonly alone = (): DesignSession =>
    this.open({}, async () => {
      throw new CredentialError('unreachable', 'away')
    })

  /** Messages of the first lines move, and what arrived is committed. */
  readonly move = (): void => {
    for (let each = 0; each < 8; each += 1) {
      for (const line of [0, 1, 2]) this.server.up(line)
      this.server.commit()
      for (const line of [0, 1, 2]) this.server.down(line)
    }
  }

  /** Everything moves until `holds`. */
  readonly moving = (what: string, tab: DesignSession, holds: () => boolean): Promise<void> =>
    until(
      what,
      () => {
        this.move()
        return holds()
      },
      { seen: () => JSON.stringify(tab.state) }
    )

  readonly settled = (tab: DesignSession): Promise<void> =>
    this.moving('saved', tab, () => tab.state.saving.kind === 'saved')

  readonly unsavedHere = async (): Promise<number> =>
    (await localDesigns(SERVER, 'ann', this.indexedDB))[0]?.unsaved ?? 0
}
