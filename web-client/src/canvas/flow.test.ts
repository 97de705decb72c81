import { describe, expect, it } from 'vitest'
import { type EdgeInputs, FlowEdges, facingSides, wordsOf } from './flow-edges'
import { FlowNodes, type NodeInputs } from './flow-nodes'
import { box, edge, node, viewOf } from './testing/fake-editor'

const still = { selected: new Set<string>(), alone: false, positions: new Map(), sizes: new Map() }

function drawing() {
  const nodes = Array.from({ length: 1_000 }, (_, at) => node(`n${at}`, (at % 32) * 200, Math.floor(at / 32) * 120))
  const edges = nodes.slice(1).map((each, at) => edge(`e${at}`, `n${at}`, each.id))
  return viewOf(nodes, edges)
}

const changed = <T>(before: readonly T[], after: readonly T[]): T[] => after.filter((each, at) => each !== before[at])

describe('nodes of the canvas', () => {
  const view = drawing()

  it('are the same list as long as nothing changed', () => {
    const flow = new FlowNodes()
    const inputs: NodeInputs = { view, ...still }
    expect(flow.derive(inputs)).toBe(flow.derive({ ...inputs, positions: new Map() }))
  })

  it('change one by one when one is dragged, and its data stays', () => {
    const flow = new FlowNodes()
    const before = flow.derive({ view, ...still })
    const after = flow.derive({ view, ...still, positions: new Map([['n500', { x: 1, y: 2 }]]) })
    const [moved, ...others] = changed(before, after)
    expect(others).toEqual([])
    expect(moved).toMatchObject({ id: 'n500', position: { x: 1, y: 2 } })
    expect(moved?.data).toBe(before.find(each => each.id === 'n500')?.data)
  })

  it('change in two when the selection goes from one to another', () => {
    const flow = new FlowNodes()
    const before = flow.derive({ view, ...still, selected: new Set(['n1']), alone: true })
    const after = flow.derive({ view, ...still, selected: new Set(['n2']), alone: true })
    expect(changed(before, after).map(each => each.id)).toEqual(['n1', 'n2'])
  })

  it('change one by one when somebody edits an element', () => {
    const flow = new FlowNodes()
    const before = flow.derive({ view, ...still })
    const renamed = node('n7', 0, 0, { data: { label: 'Shop' } })
    const after = flow.derive({ view: { ...view, nodes: new Map([...view.nodes, ['n7', renamed]]) }, ...still })
    expect(changed(before, after).map(each => each.id)).toEqual(['n7'])
  })

  it('lie behind what they contain, the larger the deeper, and are not raised when selected', () => {
    const nodes = new FlowNodes().derive({
      view: viewOf([box('vpc', 0, 0, 900, 600), box('subnet', 20, 20, 300, 200), node('web', 40, 40)]),
      ...still,
      selected: new Set(['vpc', 'web'])
    })
    const z = new Map(nodes.map(each => [each.id, each.zIndex ?? 0]))
    expect(z.get('vpc')).toBeLessThan(z.get('subnet') ?? 0)
    expect(z.get('subnet')).toBeLessThan(0)
    expect(z.get('web')).toBeGreaterThan(0)
  })

  it('have the size that the file says, wherever it says it, else the one that the analysis assumes', () => {
    const nodes = new FlowNodes().derive({
      view: viewOf([
        node('a', 0, 0),
        node('b', 0, 0, { width: 90.4, height: 50 }),
        node('c', 0, 0, { rest: { style: { width: 400, height: '5em' } } }),
        node('d', 0, 0, { data: { type: 'subnet', width: -3 } })
      ]),
      ...still
    })
    expect(nodes.map(({ width, height }) => [width, height])).toEqual([
      [150, 80],
      [90, 50],
      [400, 80],
      [300, 200]
    ])
  })

  it('are drawn within bounds, whatever numbers a file holds', () => {
    const nodes = new FlowNodes().derive({
      view: viewOf([
        node('a', 1e308, -1e308, { width: 1e308, height: 1e-3 }),
        node('b', 0, 0, { parentId: 'a' }),
        node('c', -1e6, 1e6, { width: 1e5, height: 10 })
      ]),
      ...still,
      positions: new Map([['b', { x: Number.POSITIVE_INFINITY, y: Number.NaN }]])
    })
    expect(nodes.map(({ position, width, height }) => [position.x, position.y, width, height])).toEqual([
      [1e6, -1e6, 1e5, 10],
      [1e6, 0, 150, 80],
      [-1e6, 1e6, 1e5, 10]
    ])
    const edges = new FlowEdges().derive({ view: viewOf([], [edge('e', 'a', 'c')]), selected: new Set(), nodes })
    expect(edges.map(each => [each.sourceHandle, each.targetHandle])).toEqual([['bottom', 'top']])
    expect(JSON.stringify(nodes.map(each => [each.handles, each.measured, each.zIndex]))).not.toContain('null')
  })

  it('come after their parents', () => {
    const view = viewOf([node('a', 0, 0, { parentId: 'b' }), node('b', 0, 0, { parentId: 'c' }), node('c', 0, 0)])
    expect(new FlowNodes().derive({ view, ...still }).map(each => each.id)).toEqual(['c', 'b', 'a'])
  })
})

describe('edges of the canvas', () => {
  const view = drawing()
  const none: ReadonlySet<string> = new Set()

  it('stay the same objects when a node moves without changing sides, and change alone when it does', () => {
    const [nodes, edges] = [new FlowNodes(), new FlowEdges()]
    const inputs = (x: number, y: number): EdgeInputs => ({
      view,
      selected: none,
      nodes: nodes.derive({ view, ...still, positions: new Map([['n40', { x, y }]]) })
    })
    const before = edges.derive(inputs(1_600, 120))
    expect(edges.derive(inputs(1_605, 125))).toBe(before)
    // Far below its neighbours: both of its edges leave from above.
    const after = edges.derive(inputs(1_600, 9_000))
    expect(changed(before, after).map(each => each.id)).toEqual(['e39', 'e40'])
  })

  it('change in two when the selection goes from one to another', () => {
    const [nodes, edges] = [new FlowNodes().derive({ view, ...still }), new FlowEdges()]
    const before = edges.derive({ view, nodes, selected: new Set(['e1']) })
    const after = edges.derive({ view, nodes, selected: new Set(['e2']) })
    expect(changed(before, after).map(each => each.id)).toEqual(['e1', 'e2'])
  })

  it('hang on the sides that face each other, unless the file names sides that exist', () => {
    const nodes = [node('a', 0, 0), node('b', 400, 10), node('c', 20, 500)]
    const view = viewOf(nodes, [
      edge('1', 'a', 'b'),
      edge('2', 'a', 'c'),
      edge('3', 'a', 'b', { sourceHandle: 'bottom', targetHandle: 'some-other-tool-7' }),
      edge('4', 'c', 'c')
    ])
    const edges = new FlowEdges().derive({ view, selected: none, nodes: new FlowNodes().derive({ view, ...still }) })
    expect(edges.map(each => [each.sourceHandle, each.targetHandle])).toEqual([
      ['right', 'left'],
      ['bottom', 'top'],
      ['bottom', 'left'],
      ['right', 'top']
    ])
  })

  it('see a node where its parents have taken it', () => {
    const view = viewOf(
      [node('p', 0, 0), node('child', 10, 0, { parentId: 'p' }), node('other', 400, 0)],
      [edge('e', 'child', 'other')]
    )
    const nodes = new FlowNodes().derive({ view, ...still, positions: new Map([['p', { x: 900, y: 0 }]]) })
    const [drawn] = new FlowEdges().derive({ view, selected: none, nodes })
    expect([drawn?.sourceHandle, drawn?.targetHandle]).toEqual(['left', 'right'])
  })

  it('face each other across the wider gap', () => {
    const at = (x: number, y: number) => ({ x, y, width: 100, height: 50 })
    expect(facingSides(at(0, 0), at(300, 100))).toEqual({ source: 'right', target: 'left' })
    expect(facingSides(at(0, 0), at(-300, 100))).toEqual({ source: 'left', target: 'right' })
    expect(facingSides(at(0, 0), at(110, 300))).toEqual({ source: 'bottom', target: 'top' })
    expect(facingSides(at(0, 300), at(110, 0))).toEqual({ source: 'top', target: 'bottom' })
  })

  it('say protocol and port, else their label, else what is known', () => {
    expect(wordsOf(edge('e', 'a', 'b', { label: 'Orders', data: { protocol: 'HTTPS', port: 443 } }))).toBe('HTTPS:443')
    expect(wordsOf(edge('e', 'a', 'b', { label: 'Orders', data: { protocol: 'HTTPS' } }))).toBe('Orders')
    expect(wordsOf(edge('e', 'a', 'b', { data: { protocol: 'HTTPS' } }))).toBe('HTTPS')
    expect(wordsOf(edge('e', 'a', 'b'))).toBe('')
  })
})
