// A button that is only a picture: its name is what screen readers say and what the tooltip shows.

import type { ComponentProps, ReactNode } from 'react'
import { cx } from './classes'
import { Kbd } from './Kbd'
import { Tooltip } from './Tooltip'

export interface IconButtonProps extends Omit<ComponentProps<'button'>, 'type' | 'children'> {
  name: string
  icon: ReactNode
  /** Shown in the tooltip: 'Ctrl+Z'. */
  shortcut?: string
  /** For buttons that switch something: whether it is on. */
  pressed?: boolean
  side?: 'top' | 'right' | 'bottom' | 'left'
}

export function IconButton({ name, icon, shortcut, pressed, side = 'bottom', className, ...rest }: IconButtonProps) {
  const words =
    shortcut === undefined ? (
      name
    ) : (
      <span className="inline-flex items-center gap-2">
        {name} <Kbd keys={shortcut} />
      </span>
    )
  return (
    <Tooltip text={words} side={side}>
      <button
        type="button"
        aria-label={name}
        aria-pressed={pressed}
        className={cx(
          'inline-flex size-8 shrink-0 cursor-pointer items-center justify-center rounded-md transition-colors',
          'disabled:cursor-default disabled:opacity-40',
          pressed === true ? 'bg-accent-soft text-accent' : 'text-muted hover:bg-hover hover:text-ink',
          className
        )}
        {...rest}
      >
        {icon}
      </button>
    </Tooltip>
  )
}
