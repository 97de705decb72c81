// Commands about the design as a whole.

import { ArrowLeft, FileDown, PencilLine, Users } from 'lucide-react'
import type { Command } from './types'

const always = (): boolean => true

export const DESIGN_COMMANDS: readonly Command[] = [
  {
    id: 'members',
    title: 'Members',
    group: 'People',
    icon: Users,
    words: ['share', 'invite', 'access', 'roles'],
    shortcuts: [],
    enabled: always,
    perform: ({ ui }) => ui.set({ dialog: 'members' })
  },
  {
    id: 'rename',
    title: 'Rename design',
    group: 'Design',
    icon: PencilLine,
    words: ['name', 'title'],
    shortcuts: ['F2'],
    enabled: ({ editor }) => editor.state.canEdit,
    perform: ({ ui }) => ui.set({ renaming: true })
  },
  {
    id: 'download-json',
    title: 'Download as JSON',
    group: 'Design',
    icon: FileDown,
    words: ['export', 'save', 'file', 'backup'],
    shortcuts: ['Mod+Shift+S'],
    enabled: ({ editor }) => editor.session.state.ready,
    perform: ({ ui }) => ui.acts.downloadJson()
  },
  {
    id: 'back-to-designs',
    title: 'Back to designs',
    group: 'Design',
    icon: ArrowLeft,
    words: ['close', 'list', 'home', 'leave'],
    shortcuts: [],
    enabled: always,
    perform: ({ ui }) => ui.acts.backToDesigns()
  }
]
