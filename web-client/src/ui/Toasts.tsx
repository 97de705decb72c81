// Draws the short messages that `toasts.ts` keeps, in a corner of every page.

import { CircleAlert, CircleCheck, Info, TriangleAlert, X } from 'lucide-react'
import { useSyncExternalStore } from 'react'
import { Button } from './Button'
import { cx } from './classes'
import { currentToasts, dismissToast, subscribeToasts, type Toast, type ToastTone } from './toasts'

const LOOKS: Readonly<Record<ToastTone, { colour: string; icon: typeof Info }>> = {
  neutral: { colour: 'text-accent', icon: Info },
  ok: { colour: 'text-ok', icon: CircleCheck },
  warn: { colour: 'text-warn', icon: TriangleAlert },
  danger: { colour: 'text-danger', icon: CircleAlert }
}

/** Where toasts appear; once on a page. The live region stands from the start, since screen readers tell only what changes inside of one. */
export function Toasts() {
  const toasts = useSyncExternalStore(subscribeToasts, currentToasts)
  return (
    <section
      aria-label="Messages"
      aria-live="polite"
      className="pointer-events-none fixed right-4 bottom-4 z-50 flex w-[calc(100vw-2rem)] max-w-sm flex-col gap-2"
    >
      {toasts.map(each => (
        <ToastView key={each.id} toast={each} />
      ))}
    </section>
  )
}

function ToastView({ toast }: { toast: Toast }) {
  const { colour, icon: Icon } = LOOKS[toast.tone]
  return (
    <div
      {...(toast.tone === 'danger' ? { role: 'alert' } : {})}
      {...(toast.testId === null ? {} : { 'data-testid': toast.testId })}
      className="pointer-events-auto flex items-start gap-2.5 rounded-lg border border-line bg-raised p-3 text-sm text-ink shadow-panel"
    >
      <Icon size={16} className={cx('mt-0.5 shrink-0', colour)} aria-hidden="true" />
      <p className="min-w-0 flex-1 break-words">{toast.message}</p>
      {toast.action !== null && (
        <Button
          size="small"
          onClick={() => {
            dismissToast(toast.id)
            toast.action?.run()
          }}
        >
          {toast.action.label}
        </Button>
      )}
      <button
        type="button"
        aria-label="Close this message"
        onClick={() => dismissToast(toast.id)}
        className="cursor-pointer rounded text-muted hover:text-ink"
      >
        <X size={16} aria-hidden="true" />
      </button>
    </div>
  )
}
