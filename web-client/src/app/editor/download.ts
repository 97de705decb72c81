/** Hands text to the browser as a file to keep. */
export function download(text: string, name: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: 'application/json' }))
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  // The browser has taken it over by then; at once would be too early for some.
  setTimeout(() => URL.revokeObjectURL(address), 10_000)
}

/** A design's name as part of a file name. */
export function fileName(name: string): string {
  const plain = name
    .replaceAll(/[^\p{L}\p{N}]+/gu, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 80)
  return plain === '' ? 'design' : plain
}
