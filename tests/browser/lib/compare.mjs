// Two canvases, or a canvas and what the server has: equal element by element, so that a difference names its element.

import assert from 'node:assert/strict'
import { say } from '../../interop/lib/wait.mjs'

/** An element of the page's view as the document has it: further keys stand beside the known ones. */
const asStored = ({ rest, ...known }) => ({ ...rest, ...known })

const asStoredAll = (elements) => Object.fromEntries(Object.entries(elements).map(([id, element]) => [id, asStored(element)]))

const byId = (elements) => Object.fromEntries(elements.map((element) => [element.id, element]))

function assertSame (actual, expected, whose) {
  for (const root of ['nodes', 'edges']) {
    assert.deepEqual(Object.keys(actual[root]).sort(), Object.keys(expected[root]).sort(), `${whose}: the ids of ${root}`)
    for (const id of Object.keys(expected[root])) assert.deepEqual(actual[root][id], expected[root][id], `${whose}: ${root} ${id}`)
  }
}

/** Waits until both canvases show the same design, and returns it. */
export async function sameCanvas (one, other) {
  let views = []
  await one.waits(`the same canvas as ${other.name}`, async () => {
    views = await Promise.all([one.canvas.view(), other.canvas.view()])
    return JSON.stringify(views[0]) === JSON.stringify(views[1])
  }).catch((error) => {
    assertSame(views[0], views[1], `${one.name} beside ${other.name}`)
    throw error
  })
  return views[0]
}

/** Both canvases and the server's JSON snapshot are equal: nodes, edges, hidden edges, name. */
export async function everywhereTheSame (people, api, design) {
  const [first, ...others] = people
  let view = await first.canvas.view()
  for (const other of others) view = await sameCanvas(first, other)
  const snapshot = await api.snapshot(design)
  assertSame(
    { nodes: asStoredAll(view.nodes), edges: asStoredAll(view.edges) },
    { nodes: byId(snapshot.nodes), edges: byId(snapshot.edges) },
    `${first.name} beside the server`
  )
  assert.deepEqual(Object.keys(view.hidden).sort(), snapshot.integrity.hidden_edges.map(({ edge }) => edge.id).sort(), 'the hidden edges')
  assert.equal(view.meta.name, snapshot.name, 'the name')
  say(`${people.map(({ name }) => name).join(', ')} and the server's snapshot are equal: ${snapshot.nodes.length} nodes, ${snapshot.edges.length} edges`)
  return view
}
