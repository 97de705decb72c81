// Buttons with words on them. `primary` is for the one thing that a screen is for; everything else is `quiet`.

import type { ComponentProps, ReactNode } from 'react'
import { cx } from './classes'
import { Spinner } from './Spinner'

export type ButtonTone = 'primary' | 'quiet' | 'danger'

const TONES: Readonly<Record<ButtonTone, string>> = {
  primary: 'bg-accent text-accent-ink border-transparent hover:opacity-90',
  quiet: 'bg-raised text-ink border-line hover:bg-hover',
  danger: 'bg-danger text-panel border-transparent hover:opacity-90'
}

export interface ButtonProps extends Omit<ComponentProps<'button'>, 'type'> {
  tone?: ButtonTone
  type?: 'button' | 'submit'
  size?: 'small' | 'normal'
  icon?: ReactNode
  /** What it does is under way: it cannot be pressed again, and says so. */
  busy?: boolean
}

export function Button({
  tone = 'quiet',
  type = 'button',
  size = 'normal',
  icon,
  busy = false,
  disabled,
  className,
  children,
  ...rest
}: ButtonProps) {
  return (
    <button
      type={type}
      disabled={disabled === true || busy}
      aria-busy={busy || undefined}
      className={cx(
        'inline-flex shrink-0 cursor-pointer items-center justify-center gap-1.5 rounded-md border font-medium whitespace-nowrap',
        'transition-colors disabled:cursor-default disabled:opacity-55',
        size === 'small' ? 'h-7 px-2 text-xs' : 'h-9 px-3 text-sm',
        TONES[tone],
        className
      )}
      {...rest}
    >
      {busy ? <Spinner /> : icon}
      {children}
    </button>
  )
}
