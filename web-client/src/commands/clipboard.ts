// Copy, cut and paste by the browser's own events: the only way to and from the system's clipboard that asks nobody for permission,
// works without HTTPS, and knows what was copied in another tab or browser. Menus go the other way, by the commands of the same name.

import { inField, inModal, textIsSelected } from './places'
import { commandById } from './registry'
import type { CommandContext } from './types'

/** Listens until the returned function is called. `context` is asked at each event. */
export function listenForClipboard(context: () => CommandContext): () => void {
  const isElsewhere = (event: Event) =>
    inField(event.target) || inModal(event.target) || context().ui.state.dialog !== null

  const take = (event: ClipboardEvent) => {
    const now = context()
    const { editor } = now
    const isCut = event.type === 'cut'
    if (isElsewhere(event) || textIsSelected() || !commandById(isCut ? 'cut' : 'copy').enabled(now)) return
    const { selection } = editor.state
    if (!editor.copy(selection)) return
    event.clipboardData?.setData('text/plain', editor.copiedText() ?? '')
    event.preventDefault()
    // Only what was copied may go.
    if (isCut) editor.remove(selection)
  }
  const give = (event: ClipboardEvent) => {
    const { editor } = context()
    if (isElsewhere(event) || !editor.state.canEdit) return
    event.preventDefault()
    const text = event.clipboardData?.getData('text/plain') ?? ''
    // An image, or a clipboard that the browser could not write: what was copied here is still there.
    if (text === '') editor.paste()
    else editor.pasteText(text)
  }
  document.addEventListener('copy', take)
  document.addEventListener('cut', take)
  document.addEventListener('paste', give)
  return () => {
    document.removeEventListener('copy', take)
    document.removeEventListener('cut', take)
    document.removeEventListener('paste', give)
  }
}
