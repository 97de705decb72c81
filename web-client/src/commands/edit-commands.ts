// Commands that change the drawing, and what is selected in it.

import {
  ClipboardPaste,
  Copy,
  CopyPlus,
  MousePointer2,
  Redo2,
  Scissors,
  SquareDashed,
  Trash2,
  Undo2
} from 'lucide-react'
import type { Command, CommandContext } from './types'

const canEdit = ({ editor }: CommandContext): boolean => editor.state.canEdit

export const anySelected = ({ editor }: CommandContext): boolean => {
  const { nodes, edges } = editor.state.selection
  return 0 < nodes.length + edges.length
}

const nodeSelected = ({ editor }: CommandContext): boolean => 0 < editor.state.selection.nodes.length

export const EDIT_COMMANDS: readonly Command[] = [
  {
    id: 'undo',
    title: 'Undo',
    group: 'Edit',
    icon: Undo2,
    words: ['back', 'revert'],
    shortcuts: ['Mod+Z'],
    repeats: true,
    enabled: ({ editor }) => editor.state.canUndo && editor.state.canEdit,
    perform: ({ editor }) => editor.undo()
  },
  {
    id: 'redo',
    title: 'Redo',
    group: 'Edit',
    icon: Redo2,
    words: ['again'],
    shortcuts: ['Mod+Shift+Z', 'Mod+Y'],
    repeats: true,
    enabled: ({ editor }) => editor.state.canRedo && editor.state.canEdit,
    perform: ({ editor }) => editor.redo()
  },
  {
    id: 'cut',
    title: 'Cut',
    group: 'Edit',
    icon: Scissors,
    shortcuts: ['Mod+X'],
    byBrowser: true,
    enabled: context => canEdit(context) && nodeSelected(context),
    perform: ({ editor }) => {
      const { selection } = editor.state
      // Only what was copied may go.
      if (editor.copy(selection)) editor.remove(selection)
    }
  },
  {
    id: 'copy',
    title: 'Copy',
    group: 'Edit',
    icon: Copy,
    shortcuts: ['Mod+C'],
    byBrowser: true,
    enabled: nodeSelected,
    perform: ({ editor }) => {
      editor.copy(editor.state.selection)
    }
  },
  {
    id: 'paste',
    title: 'Paste',
    group: 'Edit',
    icon: ClipboardPaste,
    words: ['insert'],
    shortcuts: ['Mod+V'],
    byBrowser: true,
    enabled: context => canEdit(context) && context.editor.state.canPaste,
    perform: ({ editor, at }) => {
      editor.paste(at ?? undefined)
    }
  },
  {
    id: 'duplicate',
    title: 'Duplicate',
    group: 'Edit',
    icon: CopyPlus,
    words: ['clone', 'copy'],
    shortcuts: ['Mod+D'],
    enabled: context => canEdit(context) && nodeSelected(context),
    perform: ({ editor }) => {
      editor.duplicate(editor.state.selection)
    }
  },
  {
    id: 'delete',
    title: 'Delete',
    group: 'Edit',
    icon: Trash2,
    words: ['remove', 'erase'],
    shortcuts: ['Delete', 'Backspace'],
    enabled: context => canEdit(context) && anySelected(context),
    perform: ({ editor }) => {
      editor.remove(editor.state.selection)
    }
  },
  {
    id: 'select-all',
    title: 'Select all',
    group: 'Selection',
    icon: SquareDashed,
    words: ['everything'],
    shortcuts: ['Mod+A'],
    enabled: ({ editor }) => 0 < editor.state.view.nodes.size,
    perform: ({ editor }) => {
      const { nodes, edges } = editor.state.view
      editor.select({ nodes: [...nodes.keys()], edges: [...edges.keys()] })
    }
  },
  {
    id: 'deselect',
    title: 'Select nothing',
    group: 'Selection',
    icon: MousePointer2,
    words: ['deselect', 'clear', 'unselect'],
    shortcuts: ['Escape'],
    enabled: anySelected,
    perform: ({ editor }) => editor.select({ nodes: [], edges: [] })
  }
]
