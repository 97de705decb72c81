// One device of somebody: an IndexedDB of its own, a line to the server that can be cut, and tabs that come and go.

import { IDBFactory, IDBKeyRange } from 'fake-indexeddb'
import type * as Y from 'yjs'
import { insert } from '../../design/edits'
import type { PageEvents } from '../page-events'
import { openDesign } from '../session'
import type { OpenDesign } from '../session-options'
import type { DesignSession } from '../types'
import { Line } from './line'
import { openNodeSocket } from './node-socket'
import type { Person } from './person'
import type { RealServer } from './real-server'
import { until } from './wait'

globalThis.IDBKeyRange = IDBKeyRange

export class Desk {
  readonly indexedDB = new IDBFactory()
  readonly #tabs: DesignSession[] = []
  readonly #wakes = new Set<() => void>()

  static async at(server: RealServer, person: Person, design: string): Promise<Desk> {
    const line = await Line.start(server.port)
    return new Desk(line, person.via(line.url, design), server.url, design)
  }

  private constructor(
    readonly line: Line,
    readonly person: Person,
    private readonly server: string,
    readonly design: string
  ) {}

  /** A new tab, or the old one reloaded. */
  open(changed: Partial<OpenDesign> = {}): DesignSession {
    const tab = openDesign({
      server: this.server,
      user: this.person.id,
      design: this.design,
      credentials: this.person,
      ...changed,
      outside: {
        indexedDB: this.indexedDB,
        openSocket: (address, events) =>
          openNodeSocket(
            address.replace(this.server.replace('http', 'ws'), this.line.url.replace('http', 'ws')),
            events
          ),
        page: this.#page,
        // Pauses between attempts grow to 0.05 of what people get.
        random: () => 0.05,
        pollMs: 20,
        ...changed.outside
      }
    })
    this.#tabs.push(tab)
    return tab
  }

  readonly #page: PageEvents = {
    isVisible: () => true,
    onWake: listener => {
      this.#wakes.add(listener)
      return () => this.#wakes.delete(listener)
    },
    onHide: () => () => {}
  }

  /** The page comes to the front, or hears that the network is back. */
  wake(): void {
    for (const wake of [...this.#wakes]) wake()
  }

  async leave(): Promise<void> {
    this.line.restore()
    await Promise.all(this.#tabs.map(tab => tab.close()))
    await this.line.stop()
  }
}

export const told = (tab: DesignSession) => (): string => JSON.stringify(tab.state)

export const reaches = (
  tab: DesignSession,
  kind: DesignSession['state']['saving']['kind'],
  unsaved?: number
): Promise<void> =>
  until(
    `the badge says ${kind} ${unsaved ?? ''}`,
    () => {
      const { saving } = tab.state
      return saving.kind === kind && (unsaved === undefined || ('unsaved' in saving && saving.unsaved === unsaved))
    },
    { seen: told(tab) }
  )

export function addNode(tab: DesignSession, id: string, data: Record<string, string> = {}): void {
  insert(tab.doc, {
    nodes: [
      { id, fields: { type: 'custom', position: { x: 0, y: 0 }, data: { type: 'application', label: id, ...data } } }
    ],
    edges: []
  })
}

export const nodeIds = (doc: Y.Doc): string[] => [...doc.getMap('nodes').keys()].sort()
