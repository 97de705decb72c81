// A text that somebody types while others may change the same value. What is typed is written after a short pause and when the
// field is left, only if it changed; while the field has the focus it shows what was typed here and never what came from elsewhere.

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react'
import { useLeaving } from '../ui/use-leaving'

/** Typing that pauses for so long is written: one write for a burst of keys, since every overwritten value leaves a trace for ever. */
export const PAUSE_MS = 250

export interface DraftOptions {
  /** What the document says. */
  value: string
  /** Writes; false: it was not permitted. */
  write: (text: string) => boolean
  /** How the document will have what was typed; it is written like that. Left out: as it is, and blanks alone as ''. */
  kept?: ((text: string) => string) | undefined
  /** Why a text cannot be written, or null. */
  check?: ((text: string) => string | null) | undefined
}

export interface Draft {
  text: string
  /** What is wrong with what was typed, or null. Nothing of it was written. */
  error: string | null
  /** Somebody else changed the value since the typing began: what they made of it. */
  theirs: string | null
  begin: () => void
  type: (text: string) => void
  /** Writes what is still unwritten. */
  flush: () => void
  end: () => void
  /** Back to what it was when the typing began. */
  giveUp: () => void
}

interface Typing {
  text: string
  /** The value when the field got the focus. */
  before: string
  /** What the document says as far as this field knows: its own last write, or the value when it began. */
  known: string
  /** What the document said just before that write: it may be shown a moment longer. */
  stale: string
}

const asTyped = (text: string): string => (text.trim() === '' ? '' : text)

const REFUSED = 'This was not written: the design cannot be edited right now.'

export function useDraft(options: DraftOptions): Draft {
  const { value, check, kept = asTyped } = options
  const [typing, setTyping] = useState<Typing | null>(null)
  const [refused, setRefused] = useState(false)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  // The newest of both, for the timer and for the moment when the field goes away.
  const latest = useRef<Typing | null>(null)
  const current = useRef(options)
  useLayoutEffect(() => {
    current.current = options
  })

  const update = useCallback((next: Typing | null) => {
    latest.current = next
    setTyping(next)
  }, [])

  const put = useCallback(
    (now: Typing, text: string) => {
      const { value: stale, kept = asTyped, write } = current.current
      const known = kept(text)
      if (known === now.known) return
      const written = write(known)
      setRefused(!written)
      if (written) update({ ...now, text, known, stale })
    },
    [update]
  )

  const flush = useCallback(() => {
    clearTimeout(timer.current)
    const now = latest.current
    if (now !== null && (current.current.check?.(now.text) ?? null) === null) put(now, now.text)
  }, [put])

  // The field goes away, since something else was selected, before the pause is over.
  useEffect(() => flush, [flush])
  useLeaving(flush)

  const error = typing === null ? null : (check?.(typing.text) ?? null)
  const theirs = typing !== null && ![typing.known, typing.stale, kept(typing.text)].includes(value) ? value : null
  return {
    text: typing?.text ?? value,
    error: error ?? (refused ? REFUSED : null),
    theirs,
    begin: () => {
      if (latest.current === null) update({ text: value, before: value, known: value, stale: value })
    },
    type: text => {
      update({ ...(latest.current ?? { before: value, known: value, stale: value }), text })
      clearTimeout(timer.current)
      timer.current = setTimeout(flush, PAUSE_MS)
    },
    flush,
    end: () => {
      flush()
      // A text that cannot be written stays in sight with the reason, until it is mended or given up.
      const now = latest.current
      if (now !== null && (check?.(now.text) ?? null) === null) update(null)
    },
    giveUp: () => {
      clearTimeout(timer.current)
      // What somebody else wrote meanwhile is theirs: giving up one's own text never takes it back.
      if (latest.current !== null && theirs === null) put(latest.current, latest.current.before)
      setRefused(false)
      update(null)
    }
  }
}
