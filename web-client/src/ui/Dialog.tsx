// Modal dialogs. Radix keeps the focus inside and lets Escape close them; where the focus goes afterwards is ours to say, since these
// dialogs are opened by state and not by a trigger that Radix knows.

import { X } from 'lucide-react'
import { Dialog as Radix } from 'radix-ui'
import { type ReactNode, useRef, useState } from 'react'
import { Button } from './Button'
import { cx } from './classes'

export interface DialogProps {
  open: boolean
  /** Escape, a click beside it, or the cross. */
  onClose: () => void
  title: string
  /** One or two sentences under the title. */
  description?: ReactNode
  children?: ReactNode
  /** Buttons at the bottom, the one to press last. */
  footer?: ReactNode
  size?: 'normal' | 'wide'
}

export function Dialog({ open, onClose, title, description, children, footer, size = 'normal' }: DialogProps) {
  const cameFrom = useRef<HTMLElement | null>(null)
  return (
    <Radix.Root open={open} onOpenChange={next => next || onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 bg-black/45" />
        <Radix.Content
          onOpenAutoFocus={() => {
            cameFrom.current = focusedBefore()
          }}
          onCloseAutoFocus={event => {
            event.preventDefault()
            cameFrom.current?.focus()
          }}
          // Radix warns when there is no description: none is better than an empty one.
          {...(description === undefined ? { 'aria-describedby': undefined } : {})}
          className={cx(
            'fixed top-1/2 left-1/2 z-40 flex max-h-[88vh] w-[calc(100vw-2rem)] -translate-x-1/2 -translate-y-1/2 flex-col',
            'rounded-xl border border-line bg-panel text-ink shadow-panel',
            size === 'wide' ? 'max-w-2xl' : 'max-w-md'
          )}
        >
          <header className="px-5 pt-4 pr-12">
            <div>
              <Radix.Title className="text-base font-semibold">{title}</Radix.Title>
              {description !== undefined && (
                <Radix.Description asChild>
                  <div className="mt-1 text-sm text-muted">{description}</div>
                </Radix.Description>
              )}
            </div>
          </header>
          <div className="min-h-0 flex-1 overflow-y-auto px-5 py-4">{children}</div>
          {footer !== undefined && (
            <footer className="flex flex-wrap justify-end gap-2 border-t border-line px-5 py-3">{footer}</footer>
          )}
          {/* Last, so that the focus begins with the first field or button and not with the cross. */}
          <Radix.Close
            aria-label="Close"
            className="absolute top-3.5 right-3.5 inline-flex size-7 cursor-pointer items-center justify-center rounded-md text-muted hover:bg-hover hover:text-ink"
          >
            <X size={16} aria-hidden="true" />
          </Radix.Close>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}

/** What had the focus; for an item of a menu, which is gone by then, the menu's button. */
function focusedBefore(): HTMLElement | null {
  const focused = document.activeElement
  const menu = focused?.closest('[role="menu"]')
  const before = menu ? document.getElementById(menu.getAttribute('aria-labelledby') ?? '') : focused
  return before instanceof HTMLElement ? before : null
}

export interface ConfirmDialogProps {
  open: boolean
  title: string
  /** What will happen, in words that name the thing. */
  children: ReactNode
  /** The word on the button: 'Delete', never 'OK'. */
  confirm: string
  cancel?: string
  danger?: boolean
  /** The dialog stays while this is under way, and shows why it failed (the message of the error). */
  onConfirm: () => Promise<void> | void
  onClose: () => void
}

export function ConfirmDialog(props: ConfirmDialogProps) {
  const { open, title, children, confirm, cancel = 'Cancel', danger = false, onConfirm, onClose } = props
  const [busy, setBusy] = useState(false)
  const [failed, setFailed] = useState<string | null>(null)

  const close = () => {
    if (busy) return
    setFailed(null)
    onClose()
  }
  const go = async () => {
    setBusy(true)
    setFailed(null)
    try {
      await onConfirm()
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Dialog
      open={open}
      onClose={close}
      title={title}
      footer={
        <>
          <Button onClick={close} disabled={busy}>
            {cancel}
          </Button>
          <Button tone={danger ? 'danger' : 'primary'} busy={busy} onClick={() => void go()}>
            {confirm}
          </Button>
        </>
      }
    >
      <div className="text-sm leading-relaxed">{children}</div>
      {failed !== null && (
        <p role="alert" className="mt-3 text-sm text-danger">
          {failed}
        </p>
      )}
    </Dialog>
  )
}
