import { describe, expect, it } from 'vitest'
import { freeSpot } from '../design/free-spot'
import { common, rawKeys } from './common'
import { flagState, flagsIn, flagValue, wrongFlag } from './flags'
import { readJson, wrongKey } from './json-value'
import { atMost } from './limits'
import { portValue, usualPort } from './port'
import { rawOf } from './raw-keys'
import { searchDesign } from './search'
import { drawing, edge, FakeEditor, node } from './testing/fake-editor'

describe('JSON that somebody typed', () => {
  it.each([
    ['"text"', 'text'],
    ['{"a": [1, null, true]}', { a: [1, null, true] }],
    ['  0 ', 0]
  ])('%s is read', (text, value) => {
    expect(readJson(text)).toEqual({ ok: true, value })
  })

  it.each([
    ['', /empty/],
    ['{a: 1}', /not JSON/],
    ['[1, 2', /not JSON/],
    ['undefined', /not JSON/],
    ['{"a": 1e999}', /too large/],
    ['{"a": {"__proto__": 1}}', /__proto__/],
    [`${'['.repeat(33)}${']'.repeat(33)}`, /32 levels/],
    [`"${'x'.repeat(600_000)}"`, /512 KiB/]
  ])('%.20s is refused in words', (text, words) => {
    const read = readJson(text)
    expect(read.ok ? '' : read.message).toMatch(words)
  })

  it('is read down to the deepest level that a document holds', () => {
    expect(readJson(`${'['.repeat(32)}${']'.repeat(32)}`).ok).toBe(true)
  })

  it('has keys that a document can hold', () => {
    expect(wrongKey('owner')).toBeNull()
    expect(wrongKey('')).not.toBeNull()
    expect(wrongKey('é'.repeat(600))).toMatch(/1024 bytes/)
  })
})

describe('what several say together', () => {
  it('is one value, several, or none', () => {
    const zone = (nodes: Parameters<typeof common<ReturnType<typeof node>>>[0]) =>
      common(nodes, ({ data }) => data.zone)
    expect(zone([node('a', { zone: 'dmz' }), node('b', { zone: 'dmz' })])).toEqual({ several: false, value: 'dmz' })
    expect(zone([node('a', { zone: 'dmz' }), node('b')])).toEqual({ several: true })
    expect(zone([node('a'), node('b')])).toEqual({ several: false, value: undefined })
  })

  it('shows as raw every unknown key, and known ones that no text field can show', () => {
    expect(rawKeys([{ label: 'x', owner: 1 }, { zone: ['a'] }], ['label', 'zone'])).toEqual(['owner', 'zone'])
  })

  it('shows flags as raw only where they are none', () => {
    const names = (...data: Parameters<typeof node>[1][]) =>
      rawOf(
        new FakeEditor(),
        data.map((each, at) => node(`n${at}`, each, { rest: { securityFlags: 1 } })),
        ['label']
      ).map(({ name }) => name)
    expect(names({ label: 'x', securityFlags: { mfa: true } })).toEqual(['securityFlags'])
    expect(names({ securityFlags: 'all of them' })).toEqual(['data.securityFlags', 'securityFlags'])
  })
})

describe('security flags', () => {
  const stateOf = (flags: ReturnType<typeof flagsIn>, name: string) => {
    const flag = flags.find(each => each.name === name)
    return flag === undefined ? 'missing' : flagState(flag)
  }

  it('are yes, no or not said, and something else where a program wrote that', () => {
    const flags = flagsIn(
      [node('a', { securityFlags: { mfa: true, waf: false, odd: 'maybe', nil: null } })],
      ['mfa', 'backup']
    )
    expect(flags.map(({ name }) => name)).toEqual(['mfa', 'backup', 'nil', 'odd', 'waf'])
    expect(flags.map(flag => flagState(flag))).toEqual(['yes', 'unsaid', 'other', 'other', 'no'])
  })

  it('of several differ also when only one of them says something', () => {
    const flags = flagsIn(
      [node('a', { securityFlags: { mfa: true, same: true } }), node('b', { securityFlags: { same: true } })],
      []
    )
    expect(stateOf(flags, 'mfa')).toBe('several')
    expect(stateOf(flags, 'same')).toBe('yes')
  })

  it('that nobody set are not there, whatever their name', () => {
    expect(stateOf(flagsIn([node('a', { securityFlags: {} })], ['constructor']), 'constructor')).toBe('unsaid')
    expect(stateOf(flagsIn([node('a', { securityFlags: 'broken' })], ['mfa']), 'mfa')).toBe('unsaid')
  })

  it('not said means that the key goes', () => {
    expect([flagValue('yes'), flagValue('no'), flagValue('unsaid')]).toEqual([true, false, undefined])
  })

  it('are added under a name that is new and can be kept', () => {
    const flags = flagsIn([], ['mfa'])
    expect(wrongFlag('waf', flags)).toBeNull()
    expect(wrongFlag('mfa', flags)).toMatch(/already/)
    expect(wrongFlag('__proto__', flags)).not.toBeNull()
  })
})

describe('ports', () => {
  it.each([
    ['443', 443],
    [' 0 ', 0],
    ['65535', 65_535],
    ['65536', '65536'],
    ['0443', '0443'],
    ['8000-8100', '8000-8100'],
    ['', undefined]
  ])('%s is written as %s', (typed, written) => {
    expect(portValue(typed)).toBe(written)
  })

  it('are usual for protocols of the vocabulary, however they are written', () => {
    expect(usualPort('postgresql')).toEqual({ name: 'PostgreSQL', port: 5432 })
    expect(usualPort('carrier pigeon')).toBeNull()
  })
})

describe('bounds of texts', () => {
  it('count characters as the server does', () => {
    const fits = atMost('A label', 3)
    expect(fits('😀😀😀')).toBeNull()
    expect(fits('four')).toBe('A label has at most 3 characters; this has 4.')
  })
})

describe('search in a design', () => {
  const view = drawing(
    [
      node('n1', { label: 'Orders database', type: 'database', zone: 'data' }),
      node('n2', { label: 'Shop', type: 'web-server', zone: 'dmz' }),
      node('n3', { label: 'Old orders', type: 'mainframe' })
    ],
    [edge('e1', 'n2', 'n1', { label: 'reads', data: { protocol: 'PostgreSQL', port: 5432 } })]
  )
  const ids = (query: string) => searchDesign(view, query).hits.map(({ id }) => id)

  it('finds by label, id, kind, zone and protocol', () => {
    expect(ids('shop')).toEqual(['n2'])
    expect(ids('n3')).toEqual(['n3'])
    expect(ids('web server')).toEqual(['n2'])
    expect(ids('mainframe')).toEqual(['n3'])
    expect(ids('dmz')).toEqual(['n2'])
    expect(ids('postgresql')).toEqual(['e1'])
  })

  it('puts first what begins as the query does, and wants every word', () => {
    expect(ids('orders')).toEqual(['n1', 'n3'])
    expect(ids('orders data')).toEqual(['n1'])
    expect(ids('orders nothing')).toEqual([])
    expect(searchDesign(view, '  ')).toEqual({ hits: [], total: 0 })
  })

  it('counts all and shows fifty', () => {
    const many = drawing(Array.from({ length: 120 }, (_, at) => node(`n${at}`, { label: `Cache ${at}` })))
    const { hits, total } = searchDesign(many, 'cache')
    expect([hits.length, total]).toEqual([50, 120])
  })
})

describe('adding without pointing', () => {
  const card = { width: 150, height: 80, container: false }
  const box = { width: 300, height: 200, container: true }
  const middle = { x: 100, y: 100 }
  const at = (x: number, y: number, more: Parameters<typeof node>[2] = {}) => ({ position: { x, y }, ...more })

  it('goes to the middle where nothing is, and beside what it would cover', () => {
    expect(freeSpot(drawing([]), middle, card)).toEqual(middle)
    // Neither at the same place nor near it: it lies over the middle all the same.
    const covered = drawing([node('a', {}, at(90, 30))])
    expect(freeSpot(covered, middle, card)).toEqual({ x: 100, y: 172 })
  })

  it('covers nothing that was added just before', () => {
    const nodes: ReturnType<typeof node>[] = []
    for (let i = 0; i < 12; i++) {
      const spot = freeSpot(drawing(nodes), middle, card)
      const touches = nodes.some(
        ({ position: { x, y } }) => Math.abs(x + 75 - spot.x) < 150 && Math.abs(y + 40 - spot.y) < 80
      )
      expect(touches).toBe(false)
      nodes.push(node(`n${i}`, {}, at(spot.x - 75, spot.y - 40)))
    }
  })

  it('may stand inside of a container, and a container inside of a larger one', () => {
    const network = node('n', { type: 'vpc-vnet' }, at(-400, -300, { width: 1_000, height: 800 }))
    expect(freeSpot(drawing([network]), middle, card)).toEqual(middle)
    expect(freeSpot(drawing([network]), middle, box)).toEqual(middle)
    const subnet = node('s', { type: 'subnet' }, at(-50, 0))
    expect(freeSpot(drawing([network, subnet]), middle, box)).not.toEqual(middle)
    // What stands in a container stands in its way, wherever its parent is.
    const inside = node('c', {}, at(425, 360, { parentId: 'n' }))
    expect(freeSpot(drawing([network, inside]), middle, card)).toEqual({ x: 100, y: 196 })
  })

  it('gives up where everything around is full', () => {
    const wall = node('w', {}, at(-5_000, -5_000, { width: 10_000, height: 10_000 }))
    expect(freeSpot(drawing([wall]), middle, card)).toEqual(middle)
  })
})
