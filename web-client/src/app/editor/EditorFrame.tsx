// How the screen is divided: palette, canvas, inspector or findings. Beside each other where there is room, above the canvas where there is not.

import type { ReactNode } from 'react'
import { cx } from '../../ui/classes'

export interface EditorFrameProps {
  top: ReactNode
  banners: ReactNode
  /** Null: closed. */
  palette: ReactNode | null
  side: ReactNode | null
  /** What floats above the canvas. */
  overlay: ReactNode
  canvas: ReactNode
}

const SIDE = 'z-10 min-h-0 shrink-0 border-line bg-panel max-md:absolute max-md:inset-y-0 max-md:shadow-panel'

export function EditorFrame({ top, banners, palette, side, overlay, canvas }: EditorFrameProps) {
  return (
    <div className="flex h-full flex-col overflow-hidden bg-canvas">
      {top}
      {banners}
      <div className="relative flex min-h-0 flex-1">
        {palette !== null && <div className={cx(SIDE, 'w-56 border-r max-md:left-0')}>{palette}</div>}
        <main className="relative min-w-0 flex-1">
          {canvas}
          {overlay}
        </main>
        {side !== null && <div className={cx(SIDE, 'w-84 max-w-[85vw] border-l max-md:right-0')}>{side}</div>}
      </div>
    </div>
  )
}
