// Where keys and the clipboard belong to somebody else than the canvas.

const FIELDS = 'input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select'
const MODAL = '[role=dialog], [role=alertdialog], [role=menu], [role=listbox]'

/** Where somebody types, letters are letters. */
export function inField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.closest(FIELDS) !== null)
}

export const inModal = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && target.closest(MODAL) !== null

/** Copying words that are selected on the page is the browser's business. */
export function textIsSelected(): boolean {
  const selection = document.getSelection()
  return selection !== null && !selection.isCollapsed && selection.toString() !== ''
}
