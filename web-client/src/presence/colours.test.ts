import { describe, expect, it } from 'vitest'
import { colourIndexOf, PEER_COLOURS, PEER_INK, peerColour } from './colours'

/** Relative luminance and contrast as WCAG 2 defines them. */
function luminance(colour: string): number {
  const parts = [1, 3, 5].map(at => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  const [red = 0, green = 0, blue = 0] = parts
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function contrast(a: string, b: string): number {
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y)
  return (light + 0.05) / (dark + 0.05)
}

describe('the colours of people', () => {
  it.each(PEER_COLOURS)('%s carries its text at AA and stands out from both canvases', colour => {
    expect(contrast(colour, PEER_INK)).toBeGreaterThanOrEqual(4.5)
    expect(contrast(colour, '#f5f6f8')).toBeGreaterThanOrEqual(3)
    expect(contrast(colour, '#11141a')).toBeGreaterThanOrEqual(3)
  })

  it('are sixteen different ones', () => {
    expect(new Set(PEER_COLOURS).size).toBe(16)
  })

  it('follow from the user id, and a thousand users use all of them', () => {
    expect(colourIndexOf('ada')).toBe(colourIndexOf('ada'))
    const used = new Set(Array.from({ length: 1_000 }, (_, at) => colourIndexOf(`user-${at}`)))
    expect(used.size).toBe(16)
  })

  it('exist for whatever place somebody sends', () => {
    for (const index of [0, 15, 16, 63, -1, 1e12, 2.5]) expect(PEER_COLOURS).toContain(peerColour(index))
  })
})
