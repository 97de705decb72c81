// Messages that stay across the page, for what is too important for a toast that goes by itself.

import type { ReactNode } from 'react'
import { TONE_CLASSES, type Tone } from './Badge'
import { cx } from './classes'

export interface BannerProps {
  tone?: Tone
  icon?: ReactNode
  children: ReactNode
  /** Buttons: what one can do about it. */
  actions?: ReactNode
  'data-testid'?: string
}

/** A line across the page that stays until what it says is over. Screen readers are told at once when it matters. */
export function Banner({ tone = 'neutral', icon, children, actions, ...rest }: BannerProps) {
  return (
    <div
      role={tone === 'danger' ? 'alert' : 'status'}
      className={cx('flex flex-wrap items-center gap-x-3 gap-y-2 px-4 py-2 text-sm', TONE_CLASSES[tone])}
      {...rest}
    >
      {icon}
      <div className="min-w-0 flex-1">{children}</div>
      {actions !== undefined && <div className="flex flex-wrap gap-2">{actions}</div>}
    </div>
  )
}
