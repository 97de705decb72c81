// What both kinds of menu share. Items ask here for the parts of the menu that they stand in: Radix has a set for each.

import { type ContextMenu, DropdownMenu } from 'radix-ui'
import { createContext } from 'react'

export const Parts = createContext<typeof DropdownMenu | typeof ContextMenu>(DropdownMenu)

export const CONTENT =
  'z-50 min-w-44 rounded-lg border border-line bg-raised p-1 text-sm text-ink shadow-panel max-h-[80vh] overflow-y-auto'
