// How well a command fits what was typed into the command palette.

/**
 * 0 when it does not fit; the higher the better. Every typed word must begin a word of the title or of the further words: letters that
 * merely occur somewhere in the right order fit too much.
 */
export function fit(query: string, title: string, words: readonly string[]): number {
  const wanted = wordsOf(query)
  const inTitle = wordsOf(title)
  const further = words.flatMap(wordsOf)
  const begins = (among: readonly string[]) => (word: string) => among.some(each => each.startsWith(word))
  if (title.toLowerCase().startsWith(query.trim().toLowerCase())) return 1
  if (wanted.every(begins(inTitle))) return 0.8
  return wanted.every(begins([...inTitle, ...further])) ? 0.4 : 0
}

const wordsOf = (text: string): string[] =>
  text
    .toLowerCase()
    .split(/[\s/-]+/)
    .filter(word => word !== '')
