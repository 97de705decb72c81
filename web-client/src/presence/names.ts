// Names as others sent them, made fit to be shown.

/** Control characters, and those that turn or hide the text around them. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu
const SHOWN_CHARS_MAX = 40

/** One line without characters that nobody sees; what is left of a name that has none is 'Somebody'. */
export function shownName(name: string): string {
  const seen = [...name.replace(UNSEEN, '').replace(/\s+/g, ' ').trim()]
  if (seen.length === 0) return 'Somebody'
  return seen.length <= SHOWN_CHARS_MAX ? seen.join('') : `${seen.slice(0, SHOWN_CHARS_MAX - 1).join('')}…`
}

/** Two letters at most: of the first and the last word. */
export function initials(name: string): string {
  const words = name.split(' ').filter(word => word !== '')
  const letters = [words.at(0), words.length < 2 ? undefined : words.at(-1)].map(word => (word ? [...word][0] : ''))
  return letters.join('').toLocaleUpperCase() || '?'
}
