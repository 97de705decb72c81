// The colours of people. Sixteen hues of one lightness, at which white text reads at AA on each of them and each stands out
// (3 : 1) from both canvases. A person's colour follows from the user id, so that it is the same on every screen and every day.
// Only the place in this list travels: nothing that somebody else sent ever becomes a style.

export const PEER_COLOURS = [
  '#da154c',
  '#b25437',
  '#a85c00',
  '#906908',
  '#797200',
  '#577a14',
  '#018139',
  '#0b7e66',
  '#047c7d',
  '#047a91',
  '#0d76ac',
  '#466ebc',
  '#7054ee',
  '#885cae',
  '#ba32b4',
  '#ac507c'
] as const

/** Of text on any of them. */
export const PEER_INK = '#ffffff'

/** The colour at a place; any integer has one, whoever sent it. */
export function peerColour(index: number): string {
  const count = PEER_COLOURS.length
  return PEER_COLOURS[((Math.trunc(index) % count) + count) % count] ?? PEER_COLOURS[0]
}

/** The place of a user's colour: FNV-1a over the UTF-16 units of the id. */
export function colourIndexOf(userId: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < userId.length; at++) {
    hash ^= userId.charCodeAt(at)
    hash = Math.imul(hash, 0x01000193)
  }
  return (hash >>> 0) % PEER_COLOURS.length
}
