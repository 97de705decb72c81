// A menu on a right click. A module of its own: only the editor needs it.

import { ContextMenu as RadixContext } from 'radix-ui'
import type { ReactNode } from 'react'
import { CONTENT, Parts } from './menu-parts'

export interface ContextMenuProps {
  /** What is right-clicked: one element that takes a ref. */
  target: ReactNode
  onOpenChange?: (open: boolean) => void
  children: ReactNode
}

export function ContextMenu({ target, onOpenChange, children }: ContextMenuProps) {
  return (
    <Parts value={RadixContext}>
      <RadixContext.Root modal={false} {...(onOpenChange === undefined ? {} : { onOpenChange })}>
        <RadixContext.Trigger asChild>{target}</RadixContext.Trigger>
        <RadixContext.Portal>
          <RadixContext.Content collisionPadding={8} className={CONTENT}>
            {children}
          </RadixContext.Content>
        </RadixContext.Portal>
      </RadixContext.Root>
    </Parts>
  )
}
