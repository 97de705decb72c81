// Commands that change what is seen, and nothing in the design.

import {
  Component,
  Eye,
  EyeOff,
  Keyboard,
  Map as MapIcon,
  Maximize,
  PanelRight,
  ScanSearch,
  Search,
  Shield,
  ShieldAlert,
  ShieldOff,
  SquareTerminal,
  SunMoon,
  ZoomIn,
  ZoomOut
} from 'lucide-react'
import { anySelected } from './edit-commands'
import type { Command, CommandContext } from './types'

const ZOOM_STEP = 1.25
const always = (): boolean => true
const notEmpty = ({ editor }: CommandContext): boolean => 0 < editor.state.view.nodes.size

export const VIEW_COMMANDS: readonly Command[] = [
  {
    id: 'command-palette',
    title: 'Command palette',
    group: 'View',
    icon: SquareTerminal,
    words: ['do', 'run'],
    shortcuts: ['Mod+K'],
    inFields: true,
    enabled: always,
    perform: ({ ui }) => ui.set({ dialog: 'commands' })
  },
  {
    id: 'search',
    title: 'Search',
    group: 'View',
    icon: Search,
    words: ['find', 'jump', 'go to'],
    shortcuts: ['Mod+F'],
    enabled: always,
    perform: ({ ui }) => ui.set({ searching: true })
  },
  {
    id: 'zoom-in',
    title: 'Zoom in',
    group: 'View',
    icon: ZoomIn,
    shortcuts: ['Mod++', 'Mod+='],
    repeats: true,
    enabled: always,
    perform: ({ editor }) => editor.zoomBy(ZOOM_STEP)
  },
  {
    id: 'zoom-out',
    title: 'Zoom out',
    group: 'View',
    icon: ZoomOut,
    shortcuts: ['Mod+-'],
    repeats: true,
    enabled: always,
    perform: ({ editor }) => editor.zoomBy(1 / ZOOM_STEP)
  },
  {
    id: 'zoom-to-fit',
    title: 'Zoom to fit',
    group: 'View',
    icon: Maximize,
    words: ['everything', 'overview', 'reset'],
    shortcuts: ['F'],
    enabled: notEmpty,
    perform: ({ editor }) => editor.zoomToFit()
  },
  {
    id: 'zoom-to-selection',
    title: 'Zoom to selection',
    group: 'View',
    icon: ScanSearch,
    shortcuts: ['Shift+F'],
    enabled: anySelected,
    perform: ({ editor, ui }) => {
      const { selection, view } = editor.state
      const ends = selection.edges.flatMap(id => {
        const edge = view.edges.get(id)
        return edge === undefined ? [] : [edge.source, edge.target]
      })
      ui.acts.view.fit([...new Set([...selection.nodes, ...ends])])
    }
  },
  {
    id: 'toggle-theme',
    title: 'Dark or light theme',
    group: 'View',
    icon: SunMoon,
    words: ['night', 'day', 'colours'],
    shortcuts: [],
    enabled: always,
    perform: ({ ui }) => ui.acts.toggleTheme()
  },
  {
    id: 'toggle-others',
    title: ({ ui }) => (ui.state.hideOthers ? 'Show others' : 'Hide others'),
    group: 'People',
    icon: Eye,
    iconOff: EyeOff,
    words: ['cursors', 'presence', 'people'],
    shortcuts: ['H'],
    enabled: always,
    checked: ({ ui }) => !ui.state.hideOthers,
    perform: ({ ui }) => ui.set({ hideOthers: !ui.state.hideOthers })
  },
  {
    id: 'toggle-minimap',
    title: ({ ui }) => (ui.state.minimap ? 'Hide minimap' : 'Show minimap'),
    group: 'View',
    icon: MapIcon,
    words: ['overview'],
    shortcuts: ['M'],
    enabled: always,
    checked: ({ ui }) => ui.state.minimap,
    perform: ({ ui }) => ui.set({ minimap: !ui.state.minimap })
  },
  {
    id: 'toggle-palette',
    title: ({ ui }) => (ui.state.palette ? 'Hide components' : 'Show components'),
    group: 'View',
    icon: Component,
    words: ['palette', 'panel', 'left'],
    shortcuts: ['P'],
    enabled: always,
    checked: ({ ui }) => ui.state.palette,
    perform: ({ ui }) => ui.set({ palette: !ui.state.palette })
  },
  {
    id: 'toggle-inspector',
    title: ({ ui }) => (ui.state.inspector ? 'Hide inspector' : 'Show inspector'),
    group: 'View',
    icon: PanelRight,
    words: ['properties', 'panel', 'right'],
    shortcuts: ['I'],
    enabled: always,
    checked: ({ ui }) => ui.state.inspector,
    perform: ({ ui }) => ui.set({ inspector: !ui.state.inspector })
  },
  {
    id: 'toggle-findings',
    title: ({ ui }) => (ui.state.findings ? 'Hide findings' : 'Show findings'),
    group: 'View',
    icon: ShieldAlert,
    words: ['security', 'analysis', 'score', 'risks', 'panel', 'right'],
    shortcuts: ['A'],
    enabled: always,
    checked: ({ ui }) => ui.state.findings,
    perform: ({ ui }) => ui.set({ findings: !ui.state.findings })
  },
  {
    id: 'toggle-marks',
    title: ({ ui }) => (ui.state.marks ? 'Hide findings on the canvas' : 'Show findings on the canvas'),
    group: 'View',
    icon: Shield,
    iconOff: ShieldOff,
    words: ['security', 'badges', 'rings', 'marks'],
    shortcuts: [],
    enabled: always,
    checked: ({ ui }) => ui.state.marks,
    perform: ({ ui }) => ui.set({ marks: !ui.state.marks })
  },
  {
    id: 'shortcuts',
    title: 'Keyboard shortcuts',
    group: 'View',
    icon: Keyboard,
    words: ['keys', 'help'],
    shortcuts: ['?'],
    enabled: always,
    perform: ({ ui }) => ui.set({ dialog: 'shortcuts' })
  }
]
