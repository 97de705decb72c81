// A context in which commands are tried out: the acts of the page are only written down.

import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { FakeEditor } from '../../panels/testing/fake-editor'
import { PeersStore } from '../../presence/peers'
import type { PageActs } from '../types'
import { UiStore } from '../ui-store'

export function fakeContext(editor = new FakeEditor()) {
  const done: [act: string, ...args: unknown[]][] = []
  const acts: PageActs = {
    toggleTheme: () => done.push(['toggleTheme']),
    downloadJson: () => done.push(['downloadJson']),
    backToDesigns: () => done.push(['backToDesigns']),
    say: message => done.push(['say', message]),
    view: {
      centreOn: point => done.push(['centreOn', point]),
      fit: nodes => done.push(['fit', nodes]),
      toFlow: pixel => pixel
    }
  }
  const awareness = new Awareness(new Y.Doc())
  const presence = new PeersStore(awareness, 'me')
  const ui = new UiStore(acts)
  return { context: { editor, presence, ui, at: null }, editor, presence, awareness, ui, done }
}
