// What a command is, and on what it acts. One object for each act of the page: toolbar, menus, command palette, shortcut sheet and
// keyboard all ask the same ones.

import type { LucideIcon } from 'lucide-react'
import type { CanvasEditor } from '../binding/types'
import type { Point } from '../design/elements'
import type { KindId } from '../design/kinds'
import type { PeersStore } from '../presence/peers'

export const COMMAND_GROUPS = ['Edit', 'Selection', 'View', 'Design', 'People', 'Add'] as const
export type CommandGroup = (typeof COMMAND_GROUPS)[number]

export interface Command {
  readonly id: string
  /** What it does, as on its button; by context where it switches something. */
  readonly title: string | ((context: CommandContext) => string)
  readonly group: CommandGroup
  readonly icon?: LucideIcon
  /** Instead of `icon` while it is switched off. */
  readonly iconOff?: LucideIcon
  /** For commands that add a component: its picture instead of an icon. */
  readonly kind?: KindId
  /** Further words under which people look for it. */
  readonly words?: readonly string[]
  /** 'Mod+Shift+Z': see shortcuts.ts. The first one is shown. */
  readonly shortcuts: readonly string[]
  /** Its shortcuts also work while somebody types into a field. */
  readonly inFields?: true
  /** Its keys are left to the browser, which answers them with an event of its own (clipboard.ts). */
  readonly byBrowser?: true
  /** A key that is held down performs it again and again. */
  readonly repeats?: true
  enabled(context: CommandContext): boolean
  /** For commands that switch something: whether it is on. */
  checked?(context: CommandContext): boolean
  perform(context: CommandContext): void
}

export interface CommandContext {
  readonly editor: CanvasEditor
  readonly presence: PeersStore
  readonly ui: EditorUi
  /** Flow coordinates of the right click that opened the menu; null: from anywhere else. */
  readonly at: Point | null
}

export type EditorDialog = 'members' | 'shortcuts' | 'commands'

/** What of the page itself is open and shown. A new object whenever anything in it changed. */
export interface UiState {
  readonly dialog: EditorDialog | null
  readonly searching: boolean
  /** The design's name is being edited. */
  readonly renaming: boolean
  readonly hideOthers: boolean
  readonly minimap: boolean
  readonly palette: boolean
  /** Of inspector and findings one at most is shown: they share the place on the right. */
  readonly inspector: boolean
  readonly findings: boolean
  /** Findings are marked on the canvas. */
  readonly marks: boolean
}

export interface EditorUi {
  readonly state: UiState
  readonly subscribe: (listener: () => void) => () => void
  set(change: Partial<UiState>): void
  readonly acts: PageActs
}

/** What only the page around the editor can do. */
export interface PageActs {
  /** Light to dark and back. */
  toggleTheme(): void
  /** The design as a file, hidden edges and unknown keys included. */
  downloadJson(): void
  backToDesigns(): void
  /** A short message for the person. */
  say(message: string): void
  readonly view: FlowView
}

/** The view of the canvas, as far as `Editor` does not move it. */
export interface FlowView {
  centreOn(point: Point): void
  /** Shows these nodes as large as fits. */
  fit(nodes: readonly string[]): void
  /** From pixels of the window to flow coordinates. */
  toFlow(pixel: Point): Point
}

export const titleOf = (command: Command, context: CommandContext): string =>
  typeof command.title === 'string' ? command.title : command.title(context)
