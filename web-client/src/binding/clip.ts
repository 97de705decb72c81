// What is copied: nodes with the edges between them, as text, so that it can be pasted into another design, another tab or another browser.
// Pasted text may come from anywhere: it is parsed with mistrust, and whatever does not fit makes all of it unreadable, never half of it.

import * as Y from 'yjs'
import { insert, type NewElement } from '../design/edits'
import { type DesignView, isObject, type Json, type JsonObject, type Point } from '../design/elements'
import { absolutePosition, bounds, middle, type Size, sizeOf } from '../design/geometry'
import { newId } from '../design/ids'
import { ELEMENT_ID_CHARS_MAX, KEY_BYTES_MAX, VALUE_DEPTH_MAX } from '../design/limits'
import { z } from '../design/zod'
import { edgeFields, nodeFields } from './read'

export interface Clip {
  readonly nodes: readonly NewElement[]
  readonly edges: readonly NewElement[]
}

const MARKER = 'atlas-collab/clip'
const VERSION = 1
/** Characters of pasted text that are looked at: far more than one paste may hold. */
const TEXT_CHARS_MAX = 8 << 20
/** Keys that belong to one screen, in files that other programs wrote. */
const SCREEN_KEYS = ['selected', 'dragging', 'resizing', 'measured', 'positionAbsolute', 'internals']

/** The nodes of the view that are meant, free of parents that are not among them, and every edge between two of them. Null: no node. */
export function clipOf(view: DesignView, ids: readonly string[]): Clip | null {
  const meant = new Set(ids.filter(id => view.nodes.has(id)))
  if (meant.size === 0) return null
  const nodes: NewElement[] = []
  for (const node of view.nodes.values()) {
    if (!meant.has(node.id)) continue
    const { parentId, ...fields } = nodeFields(node)
    const parentComes = node.parentId !== undefined && meant.has(node.parentId)
    const place = parentComes
      ? { parentId: node.parentId }
      : { position: plainPoint(absolutePosition(node, view.nodes)) }
    nodes.push({ id: node.id, fields: withoutScreen({ ...fields, ...place }) })
  }
  const edges: NewElement[] = []
  for (const edge of view.edges.values()) {
    if (meant.has(edge.source) && meant.has(edge.target))
      edges.push({ id: edge.id, fields: withoutScreen(edgeFields(edge)) })
  }
  return { nodes, edges }
}

const plainPoint = ({ x, y }: Point): JsonObject => ({ x, y })

function withoutScreen(fields: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([key]) => !SCREEN_KEYS.includes(key)))
}

export function clipText(clip: Clip): string {
  return JSON.stringify({ format: MARKER, version: VERSION, nodes: clip.nodes, edges: clip.edges })
}

const id = z.string().min(1).max(ELEMENT_ID_CHARS_MAX)
const json = z.json()
const fields = z.record(z.string(), json)
const finite = z.number()
const clip = z.object({
  format: z.literal(MARKER),
  version: z.literal(VERSION),
  nodes: z.array(
    z.object({
      id,
      fields: fields.and(z.object({ position: z.object({ x: finite, y: finite }), parentId: id.optional() }))
    })
  ),
  edges: z.array(z.object({ id, fields: fields.and(z.object({ source: id, target: id })) }))
})

/** Null for text that no `clipText` wrote, or that a document could not hold. */
export function parseClip(text: string): Clip | null {
  // Most of what people paste is not ours, and some of it is long.
  if (text.length > TEXT_CHARS_MAX || !text.startsWith(`{"format":"${MARKER}"`)) return null
  let value: Json
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (!isSound(value)) return null
  const read = clip.safeParse(value)
  return read.success && read.data.nodes.length > 0 ? read.data : null
}

/** Only what the gate of the server lets in: no deep nesting, no long keys, no `__proto__`, no number that is none. */
function isSound(value: Json, depth = 0): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  // The clip itself, its lists, an element and its fields are four levels; `data` and its flags become shared maps.
  if (depth > VALUE_DEPTH_MAX) return false
  if (Array.isArray(value)) return value.every(each => isSound(each, depth + 1))
  return Object.entries(value).every(
    ([key, each]) => key !== '__proto__' && key.length * 3 <= KEY_BYTES_MAX && isSound(each, depth + 1)
  )
}

/** The same elements under new ids, moved by `by`; parents and ends follow their nodes. */
export function renewed(clip: Clip, by: Point): Clip {
  const ids = new Map(clip.nodes.map(({ id }) => [id, newId()]))
  const nodes = clip.nodes.map(({ id, fields: { parentId, ...fields } }) => {
    const parent = typeof parentId === 'string' ? ids.get(parentId) : undefined
    const moved = parent === undefined ? { position: shift(fields.position, by) } : { parentId: parent }
    return { id: ids.get(id) ?? newId(), fields: { ...fields, ...moved } }
  })
  const edges = clip.edges.flatMap(({ fields }) => {
    const source = ids.get(String(fields.source))
    const target = ids.get(String(fields.target))
    return source === undefined || target === undefined ? [] : [{ id: newId(), fields: { ...fields, source, target } }]
  })
  return { nodes, edges }
}

function shift(position: Json | undefined, by: Point): JsonObject {
  const { x, y } = pointOf(position)
  return { x: Math.round(x + by.x), y: Math.round(y + by.y) }
}

function pointOf(position: Json | undefined): Point {
  const read = z.object({ x: z.number(), y: z.number() }).safeParse(position)
  return read.success ? read.data : { x: 0, y: 0 }
}

/** The middle of what the clip draws, where it was copied. */
export function middleOf({ nodes }: Clip): Point {
  const drawn = nodes.filter(({ fields }) => fields.parentId === undefined)
  const box = bounds(drawn.map(({ fields }) => ({ ...pointOf(fields.position), ...sizeIn(fields) })))
  return middle(box ?? { x: 0, y: 0, width: 0, height: 0 })
}

function sizeIn({ width, height, data }: JsonObject): Size {
  return sizeOf({
    id: '',
    type: '',
    position: { x: 0, y: 0 },
    ...(typeof width === 'number' && { width }),
    ...(typeof height === 'number' && { height }),
    data: isObject(data) ? data : {},
    rest: {}
  })
}

/** Bytes of the update that inserting these elements makes: what the server bounds. */
export function updateBytes(elements: Clip): number {
  const scratch = new Y.Doc()
  insert(scratch, elements)
  const { length } = Y.encodeStateAsUpdate(scratch)
  scratch.destroy()
  return length
}
