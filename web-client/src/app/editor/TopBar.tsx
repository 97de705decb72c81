// The line above the canvas: the way back, the design's name, saving, people, tools and the account, in the same places while loading.

import { ArrowLeft } from 'lucide-react'
import type { ReactNode } from 'react'
import { IconButton } from '../../ui/IconButton'
import { navigate } from '../router'

export interface TopBarProps {
  /** The design's name. */
  name: ReactNode
  saving: ReactNode
  /** Who else is here. */
  people?: ReactNode
  tools?: ReactNode
  account: ReactNode
}

/** The line above the canvas; on narrow screens the tools take a line of their own. */
export function TopBar({ name, saving, people, tools, account }: TopBarProps) {
  return (
    <header className="z-20 flex min-h-12 flex-wrap items-center gap-x-2 gap-y-1 border-b border-line bg-panel px-2 py-1.5">
      <IconButton
        name="Back to designs"
        icon={<ArrowLeft size={17} aria-hidden="true" />}
        onClick={() => navigate('/')}
      />
      <div className="min-w-24 flex-1 md:max-w-80 md:flex-none">{name}</div>
      <div className="flex min-w-0 items-center gap-2">{saving}</div>
      <div className="hidden flex-1 md:block" />
      {tools !== undefined && (
        <div
          role="toolbar"
          aria-label="Drawing"
          className="order-last flex w-full items-center gap-0.5 overflow-x-auto md:order-none md:w-auto"
        >
          {tools}
        </div>
      )}
      <div className="ml-auto flex items-center gap-2 pl-1">
        {people}
        {account}
      </div>
    </header>
  )
}

export function ToolGap() {
  return <span aria-hidden="true" className="mx-1 h-5 w-px shrink-0 bg-line" />
}
