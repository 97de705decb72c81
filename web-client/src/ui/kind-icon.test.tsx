// @vitest-environment happy-dom
import { readFileSync } from 'node:fs'
import { cleanup, render } from '@testing-library/react'
import { afterEach, describe, expect, it } from 'vitest'
import { KIND_IDS } from '../design/kinds'
import { KindIcon } from './kind-icon'
import { UNKNOWN_DRAWING } from './kind-icons/drawings'

const css = readFileSync('src/ui/theme.css', 'utf8')

afterEach(cleanup)

const linesOf = (kind: string) =>
  render(<KindIcon kind={kind} size={18} />)
    .container.querySelector('path:last-child')
    ?.getAttribute('d')

describe('icons of kinds', () => {
  it('differ from each other and from that of unknown kinds', () => {
    const drawn = [...KIND_IDS.map(linesOf), UNKNOWN_DRAWING.lines]
    expect(new Set(drawn).size).toBe(KIND_IDS.length + 1)
  })

  it.each(['mainframe', '', 'constructor', '__proto__'])(
    'of the kind %o that nobody knows is the question mark',
    kind => {
      expect(linesOf(kind)).toBe(UNKNOWN_DRAWING.lines)
    }
  )

  it('are decoration: nothing is said twice to screen readers', () => {
    const { container } = render(<KindIcon kind="waf" size={18} />)
    expect(container.querySelector('svg')?.getAttribute('aria-hidden')).toBe('true')
  })
})

/** The tokens of one theme. */
function tokens(selector: string): ReadonlyMap<string, string> {
  const block = css.slice(css.indexOf(`${selector} {`)).split('}')[0] ?? ''
  return new Map([...block.matchAll(/(--[\w-]+): (#[0-9a-f]{6});/g)].map(([, name = '', value = '']) => [name, value]))
}

/** Relative luminance as WCAG 2 defines it. */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map(at => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

describe.each([
  ['light', ':root'],
  ['dark', ':root[data-theme="dark"]']
])('the colours of groups in the %s theme', (_, selector) => {
  const theme = tokens(selector)
  const kinds = [...theme].filter(([name]) => name.startsWith('--kind-'))

  it('are six', () => {
    expect(kinds).toHaveLength(6)
  })

  it.each(kinds)('%s reads at AA on every surface on which it stands', (_, colour) => {
    for (const surface of ['--panel', '--raised', '--hover', '--canvas']) {
      const [dark = 0, light = 0] = [luminance(colour), luminance(theme.get(surface) ?? '')].sort((a, b) => a - b)
      expect((light + 0.05) / (dark + 0.05)).toBeGreaterThanOrEqual(4.5)
    }
  })
})
