// Bounds of texts, told in words before the server has to refuse anything.

export const trimmed = (text: string): string => text.trim()

/** Checks a text of at most `most` characters, counted as the server counts them: by code points. */
export function atMost(what: string, most: number): (text: string) => string | null {
  return text => {
    // A text has at most as many code points as UTF-16 units, so most need no counting.
    if (text.length <= most) return null
    const has = [...text].length
    return has <= most
      ? null
      : `${what} has at most ${most.toLocaleString('en')} characters; this has ${has.toLocaleString('en')}.`
  }
}
