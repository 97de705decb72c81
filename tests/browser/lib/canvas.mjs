// The canvas of one page: gestures with the mouse and the keyboard, and what is drawn. Gestures are those of people: nothing here writes
// into the page's state.

import assert from 'node:assert/strict'

/** Steps of the pointer on its way: a drag is many small moves. */
const STEPS = 8

export class Canvas {
  constructor (person) {
    this.person = person
  }

  get page () {
    return this.person.page
  }

  // --- what is there

  /** The open design as plain values: `{nodes, edges, hidden, meta}`, elements by id. */
  view () {
    return this.page.evaluate(() => {
      const view = globalThis.atlas.view()
      return {
        nodes: Object.fromEntries(view.nodes),
        edges: Object.fromEntries(view.edges),
        hidden: Object.fromEntries(view.hidden),
        meta: view.meta
      }
    })
  }

  /** Ids as the document has them. */
  async ids () {
    return this.page.evaluate(() => {
      const view = globalThis.atlas.view()
      return { nodes: [...view.nodes.keys()], edges: [...view.edges.keys()] }
    })
  }

  /** The id of the node with this label. */
  async nodeCalled (label) {
    const { nodes } = await this.view()
    const found = Object.values(nodes).filter(({ data }) => data.label === label)
    assert.equal(found.length, 1, `one node called ${label}`)
    return found[0].id
  }

  node (id) {
    return this.page.locator(`.react-flow__node[data-id="${id}"]`)
  }

  edge (id) {
    return this.page.locator(`.react-flow__edge[data-id="${id}"]`)
  }

  async boxOf (id) {
    const box = await this.node(id).boundingBox()
    assert.ok(box !== null, `node ${id} is drawn`)
    return box
  }

  async middleOf (id) {
    const { x, y, width, height } = await this.boxOf(id)
    return { x: x + width / 2, y: y + height / 2 }
  }

  /** How many pixels a unit of the canvas is. */
  zoom () {
    return this.page.evaluate(() => new DOMMatrix(getComputedStyle(document.querySelector('.react-flow__viewport')).transform).a)
  }

  /** A place of the canvas with nothing under it, in pixels of the window. */
  async emptyPlace (n = 0) {
    const place = await this.page.evaluate((skip) => {
      const pane = document.querySelector('[data-testid=canvas]').getBoundingClientRect()
      for (let y = pane.top + 40; y < pane.bottom - 60; y += 30) {
        for (let x = pane.left + 60; x < pane.right - 120; x += 40) {
          const free = [[0, 0], [-50, -25], [50, -25], [-50, 25], [50, 25]].every(([dx, dy]) =>
            document.elementFromPoint(x + dx, y + dy)?.classList.contains('react-flow__pane'))
          if (free && skip-- === 0) return { x, y }
        }
      }
      return null
    }, n)
    assert.ok(place !== null, 'there is an empty place on the canvas')
    return place
  }

  // --- gestures

  async fit () {
    await this.page.getByRole('button', { name: 'Zoom to fit' }).click()
    await this.stands()
  }

  /** Waits until the viewport has stopped moving. */
  async stands () {
    await this.page.evaluate(() => new Promise((resolve) => {
      const where = () => document.querySelector('.react-flow__viewport')?.style.transform
      let [last, same] = [where(), 0]
      const look = () => {
        same = where() === last ? same + 1 : 0
        last = where()
        if (same > 5) resolve()
        else requestAnimationFrame(look)
      }
      requestAnimationFrame(look)
    }))
  }

  /** Drags a component out of the palette. Returns the id of the node that came. */
  async dragIn (kind, place) {
    const before = await this.ids()
    const { x, y } = place ?? await this.emptyPlace()
    const pane = await this.page.getByTestId('canvas').boundingBox()
    await this.page.getByTestId(`palette-${kind}`).dragTo(this.page.getByTestId('canvas'), {
      targetPosition: { x: x - pane.x, y: y - pane.y }
    })
    return this.newNode(before)
  }

  /** Adds a component with the keyboard. Returns the id of the node that came. */
  async enterIn (kind) {
    const before = await this.ids()
    await this.page.getByTestId(`palette-${kind}`).focus()
    await this.page.keyboard.press('Enter')
    return this.newNode(before)
  }

  /** The one node, or edge, that was not there before. */
  async newNode (before, root = 'nodes') {
    let fresh = []
    await this.person.waits(`one new of ${root}`, async () => {
      fresh = (await this.ids())[root].filter((id) => !before[root].includes(id))
      return fresh.length === 1
    })
    return fresh[0]
  }

  async select (...ids) {
    await this.clearSelection()
    for (const [n, id] of ids.entries()) {
      const { x, y } = await this.grip(id)
      if (n > 0) await this.page.keyboard.down('Control')
      await this.page.mouse.click(x, y)
      if (n > 0) await this.page.keyboard.up('Control')
    }
    await this.person.waits(`${ids.length} selected`, () => this.page.evaluate((wanted) => wanted.every((id) =>
      document.querySelector(`.react-flow__node.selected[data-id="${id}"]`) !== null), ids))
  }

  async clearSelection () {
    const { x, y } = await this.emptyPlace()
    await this.page.mouse.click(x, y)
  }

  async selectEdge (id) {
    await this.clearSelection()
    const place = await this.page.evaluate((edge) => {
      const path = document.querySelector(`.react-flow__edge[data-id="${edge}"] path`)
      for (const part of [0.5, 0.35, 0.65, 0.2, 0.8]) {
        const at = path.getPointAtLength(path.getTotalLength() * part).matrixTransform(path.getScreenCTM())
        if (document.elementFromPoint(at.x, at.y)?.closest(`.react-flow__edge[data-id="${edge}"]`)) return { x: at.x, y: at.y }
      }
      return null
    }, id)
    assert.ok(place !== null, `edge ${id} can be clicked somewhere`)
    await this.page.mouse.click(place.x, place.y)
    await this.person.waits(`edge ${id} selected`, () => this.page.locator(`.react-flow__edge.selected[data-id="${id}"]`).isVisible())
  }

  /** A place of the node that the pointer really hits: of containers only the border and the title are solid. */
  async grip (id) {
    const place = await this.page.evaluate((node) => {
      const { left, top, width, height } = document.querySelector(`.react-flow__node[data-id="${node}"]`).getBoundingClientRect()
      const inside = [[0.5, 0.5], [0.3, 0.3], [0.7, 0.3], [0.3, 0.7], [0.7, 0.7]].map(([across, down]) => [width * across, height * down])
      const title = [10, 20, 30].map((far) => [far, 10])
      const border = [0.25, 0.4, 0.6].flatMap((part) => [[1, height * part], [width * part, height - 1]])
      for (const [across, down] of [...inside, ...title, ...border]) {
        const at = { x: left + across, y: top + down }
        const hit = document.elementFromPoint(at.x, at.y)
        if (hit?.closest('.react-flow__node')?.dataset.id === node && hit.closest('.react-flow__handle') === null) return at
      }
      return null
    }, id)
    assert.ok(place !== null, `node ${id} can be taken somewhere`)
    return place
  }

  /** Takes a node with the mouse and moves it by pixels; `drop` lets it go. */
  async take (id, dx, dy) {
    const { x, y } = await this.grip(id)
    await this.page.mouse.move(x, y)
    await this.page.mouse.down()
    await this.page.mouse.move(x + dx, y + dy, { steps: STEPS })
  }

  drop () {
    return this.page.mouse.up()
  }

  async drag (id, dx, dy) {
    await this.take(id, dx, dy)
    await this.drop()
  }

  /** Selects a node and drags one of its corners outwards by pixels: one that nothing lies upon, such as the overview. */
  async resize (id, dx, dy) {
    await this.select(id)
    const from = await this.page.evaluate((node) => {
      for (const [x, y, across, down] of [['right', 'bottom', 1, 1], ['left', 'bottom', -1, 1], ['right', 'top', 1, -1], ['left', 'top', -1, -1]]) {
        const corner = document.querySelector(`.react-flow__node[data-id="${node}"] .react-flow__resize-control.handle.${x}.${y}`)
        const box = corner?.getBoundingClientRect()
        const at = { x: box?.left + box?.width / 2, y: box?.top + box?.height / 2, across, down }
        if (box !== undefined && document.elementFromPoint(at.x, at.y) === corner) return at
      }
      return null
    }, id)
    assert.ok(from !== null, `node ${id} has a corner to drag`)
    await this.page.mouse.move(from.x, from.y)
    await this.page.mouse.down()
    await this.page.mouse.move(from.x + dx * from.across, from.y + dy * from.down, { steps: STEPS })
    await this.page.mouse.up()
  }

  /** Draws an edge from the handle of one node onto another node. Returns its id. */
  async connect (source, target) {
    const before = await this.ids()
    const from = await this.handle(source, 'right')
    const to = await this.grip(target)
    await this.page.mouse.move(from.x, from.y)
    await this.page.mouse.down()
    await this.page.mouse.move((from.x + to.x) / 2, (from.y + to.y) / 2, { steps: STEPS })
    await this.page.mouse.move(to.x, to.y, { steps: STEPS })
    await this.page.mouse.up()
    return this.newNode(before, 'edges')
  }

  async handle (id, side) {
    // Handles are there only under the pointer.
    await this.node(id).hover({ force: true })
    const box = await this.node(id).locator(`.react-flow__handle-${side}`).first().boundingBox()
    assert.ok(box !== null, `node ${id} has a handle on its ${side}`)
    return { x: box.x + box.width / 2, y: box.y + box.height / 2 }
  }

  /** The keyboard acts on the canvas, not on a field. */
  async press (keys) {
    await this.page.keyboard.press(keys)
  }

  // --- the inspector

  get inspector () {
    return this.page.getByTestId('inspector')
  }

  field (label) {
    return this.inspector.getByLabel(label, { exact: true })
  }

  /** Writes into a field of the inspector, as the selection has it, and leaves it. */
  async write (label, value) {
    const field = this.field(label)
    await field.fill(value)
    await field.blur()
  }

  /** A flag of the inspector is 'Yes', 'No' or 'Not said'. */
  async setFlag (flag, value) {
    await this.inspector.getByRole('group', { name: flag }).getByText(value, { exact: true }).click()
  }
}
