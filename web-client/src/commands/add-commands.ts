// One command for each kind of component: where the menu was opened, else in the middle of the view.

import { freeSpot } from '../design/free-spot'
import { KINDS, type KindId } from '../design/kinds'
import type { Command } from './types'

export const addCommandId = (kind: KindId): string => `add-${kind}`

export const ADD_COMMANDS: readonly Command[] = KINDS.map(({ id, title, words, group, ...size }) => ({
  id: addCommandId(id),
  title: `Add ${title}`,
  group: 'Add',
  kind: id,
  words: ['new', 'create', id, ...words, ...group.toLowerCase().split(' ')],
  shortcuts: [],
  enabled: ({ editor }) => editor.state.canEdit,
  perform: ({ editor, at }) => {
    editor.addNode(id, at ?? freeSpot(editor.state.view, editor.centre(), size))
  }
}))
