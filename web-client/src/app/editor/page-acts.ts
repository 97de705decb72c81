// What commands ask of the page around the editor.

import type { Editor } from '../../binding/types'
import type { FlowView, PageActs } from '../../commands/types'
import { text } from '../../design/elements'
import { chooseTheme, theme } from '../../ui/theme'
import { toast } from '../../ui/toasts'
import { navigate } from '../router'
import { designFile } from './design-file'
import { download, fileName } from './download'

export const designName = (editor: Editor): string => text(editor.state.view.meta.name)

export function downloadDesign(editor: Editor): void {
  const name = designName(editor)
  download(designFile(editor.session.design, name, editor.session.doc), `${fileName(name)}.json`)
}

export function pageActs(editor: Editor, view: FlowView): PageActs {
  return {
    toggleTheme: () => chooseTheme(theme() === 'dark' ? 'light' : 'dark'),
    downloadJson: () => downloadDesign(editor),
    backToDesigns: () => navigate('/'),
    say: message => void toast(message, { id: 'editor' }),
    view
  }
}
