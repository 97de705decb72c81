// What an open drawing consists of beside its document: the editor, who else is here, and what this person tells them. All of it lives as long as the
// page shows the drawing; who is here begins anew with each generation of the document.

import { useEffect, useMemo, useState, useSyncExternalStore } from 'react'
import { createEditor } from '../../binding/editor'
import type { CanvasEditor } from '../../binding/types'
import { colourIndexOf } from '../../presence/colours'
import { PeersStore } from '../../presence/peers'
import { createReporter, type Reporter } from '../../presence/reporter'
import type { Person } from '../../sync/person'
import { PresenceWriter } from '../../sync/presence-writer'
import type { DesignSession } from '../../sync/types'
import { toast } from '../../ui/toasts'

export interface OpenEditor {
  editor: CanvasEditor
  reporter: Reporter
}

/** Characters, as presence takes them. */
const NAME_CHARS_MAX = 100

export function useOpenEditor(session: DesignSession, person: Person): OpenEditor | null {
  const [open, setOpen] = useState<OpenEditor | null>(null)
  useEffect(() => {
    const editor = createEditor(session, {
      onMessage: message => void toast(message, { id: 'editor' }),
      // Browsers let a page write to the clipboard only at times; the editor has its own copy in any case.
      writeClipboard: text => void navigator.clipboard?.writeText(text).catch(() => undefined)
    })
    const name = person.name.slice(0, NAME_CHARS_MAX)
    const writer = new PresenceWriter(session, { id: person.id, name, color: colourIndexOf(person.id) })
    const reporter = createReporter(writer)
    const stop = editor.subscribe(() => reporter.selection(editor.state.selection))
    setOpen({ editor, reporter })
    return () => {
      setOpen(null)
      stop()
      writer.destroy()
      editor.destroy()
    }
  }, [session, person.id, person.name])
  return open
}

/** Everybody else who has the design open. */
export function usePeersStore(session: DesignSession, person: Person): PeersStore {
  const awareness = useSyncExternalStore(
    listener => session.subscribe(listener),
    () => session.awareness
  )
  const peers = useMemo(() => new PeersStore(awareness, person.id), [awareness, person.id])
  useEffect(() => () => peers.destroy(), [peers])
  return peers
}
