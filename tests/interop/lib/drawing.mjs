// The edits that people make on a drawing, the designs they start from, and how two copies are compared.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as Y from 'yjs'

const map = (entries = {}) => new Y.Map(Object.entries(entries))

/** An element is created with its `data` and `data.securityFlags` maps, which are never replaced. */
export function putNode (doc, id, label, x, y) {
  const data = map({ type: 'application', label, securityFlags: map() })
  doc.getMap('nodes').set(id, map({ type: 'custom', position: { x, y }, width: 180, height: 60, data }))
}

export function putEdge (doc, id, source, target) {
  const data = map({ protocol: 'HTTPS', port: 443, securityFlags: map() })
  doc.getMap('edges').set(id, map({ source, target, type: 'default', data }))
}

export const moveNode = (doc, id, x, y) => doc.getMap('nodes').get(id)?.set('position', { x, y })

export const setData = (doc, id, key, value) => doc.getMap('nodes').get(id)?.get('data')?.set(key, value)

export const setFlag = (doc, id, flag, value) =>
  doc.getMap('nodes').get(id)?.get('data')?.get('securityFlags')?.set(flag, value)

export function removeNode (doc, id) {
  const edges = doc.getMap('edges')
  for (const [edge, body] of [...edges.entries()]) {
    if (body.get('source') === id || body.get('target') === id) edges.delete(edge)
  }
  doc.getMap('nodes').delete(id)
}

/** Nodes that a story looks for at its end: random edits change them and never delete them. */
const KEPT = /^(shared|island|mainland)-/

/** One random edit by somebody called `who`, as one transaction. `n` makes new ids unlike all others. */
export function randomEdit (client, random, n) {
  const { doc, name: who } = client
  const nodes = [...doc.getMap('nodes').keys()].sort()
  const pick = (among = nodes) => among[Math.floor(random() * among.length)]
  const at = () => Math.floor(random() * 2_000)
  const kind = random()
  client.edit(() => {
    if (nodes.length < 4 || kind < 0.25) putNode(doc, `${who}-node-${n}`, `${who} ${n}`, at(), at())
    else if (kind < 0.40) putEdge(doc, `${who}-edge-${n}`, pick(), pick())
    else if (kind < 0.65) moveNode(doc, pick(), at(), at())
    else if (kind < 0.80) setFlag(doc, pick(), ['encrypted', 'public', 'audited'][n % 3], random() < 0.5)
    else if (kind < 0.90) setData(doc, pick(), 'label', `${who} was here ${n} ✓`)
    else if (kind < 0.95) doc.getMap('meta').set(`note-${who}`, `change ${n}`)
    else removeNode(doc, pick(nodes.filter((id) => !KEPT.test(id))))
  })
}

// --- designs to start from

const file = (relative) => fileURLToPath(new URL(relative, import.meta.url))

/** A hand-written design of which one edge leads nowhere. */
export const danglingDesign = () => readFileSync(file('../../fixtures/designs/dangling.json'), 'utf8')

/** A real design of the Koh Atlas page; null where the folder with samples is missing. */
export function kohGrid () {
  const sample = file('../../../../shared/data/kohatlas/kohGrid.json')
  return existsSync(sample) ? readFileSync(sample, 'utf8') : null
}

// --- comparing

const ROOTS = ['nodes', 'edges', 'meta', 'comments']

/** A document as plain values. */
export function contentOf (doc) {
  return Object.fromEntries(ROOTS.map((root) => [root, doc.getMap(root).toJSON()]))
}

/** A fresh document made of one update, as somebody reads it who was never there. */
export function contentOfUpdate (update) {
  const doc = new Y.Doc()
  Y.applyUpdate(doc, update)
  assert.equal(doc.store.pendingStructs, null, 'the yjs snapshot is complete in itself')
  const content = contentOf(doc)
  doc.destroy()
  return content
}

const byId = (elements) => Object.fromEntries(elements.map(({ id, ...body }) => [id, body]))

/** The nodes and edges of a JSON snapshot by id, hidden edges among them, as the document holds them. */
export function elementsOfSnapshot (snapshot) {
  const hidden = snapshot.integrity.hidden_edges.map(({ edge }) => edge)
  return { nodes: byId(snapshot.nodes), edges: byId([...snapshot.edges, ...hidden]) }
}

/** Compares two copies element by element, so that a difference names its element. Returns how many were equal. */
export function assertSameElements (actual, expected, whose, roots = ROOTS) {
  let compared = 0
  for (const root of roots) {
    const ids = (content) => Object.keys(content[root]).sort()
    assert.deepEqual(ids(actual), ids(expected), `${whose}: the ids of ${root}`)
    for (const id of ids(expected)) {
      assert.deepEqual(actual[root][id], expected[root][id], `${whose}: ${root} ${id}`)
      compared += 1
    }
  }
  return compared
}

export const sameContent = (one, other) => {
  try {
    assertSameElements(contentOf(one), contentOf(other), '')
    return true
  } catch {
    return false
  }
}
