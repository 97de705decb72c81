// One element of the shared document as plain data. Total: whatever somebody's program wrote there, it reads as something that can be
// drawn (docs/DOCUMENT.md, "How the server reads it"). A known key with a value of another type stands in `rest`, so that it is seen.

import { plain, type SharedElement } from '../design/document'
import { type DesignEdge, type DesignNode, isObject, type Json, type JsonObject, type Point } from '../design/elements'

/** What React Flow calls a node of Koh Atlas. */
const NODE_TYPE = 'custom'

type Fields = Record<string, Json>

function fieldsOf(element: SharedElement): Fields {
  const read = plain(element)
  const { id: _, ...fields } = isObject(read) ? read : {}
  return fields
}

export function readNode(id: string, element: SharedElement): DesignNode {
  const rest = fieldsOf(element)
  const position = point(rest.position)
  delete rest.position
  const width = take(rest, 'width', isSize)
  const height = take(rest, 'height', isSize)
  const parentId = take(rest, 'parentId', isText)
  const zIndex = take(rest, 'zIndex', isNumber)
  return {
    id,
    type: take(rest, 'type', isText) ?? NODE_TYPE,
    position,
    ...(width !== undefined && { width }),
    ...(height !== undefined && { height }),
    ...(parentId !== undefined && { parentId }),
    ...(zIndex !== undefined && { zIndex }),
    data: take(rest, 'data', isObject) ?? {},
    rest
  }
}

/** An end that is no text reads as '', which is the id of no node: the edge is hidden. */
export function readEdge(id: string, element: SharedElement): DesignEdge {
  const rest = fieldsOf(element)
  const sourceHandle = take(rest, 'sourceHandle', isText)
  const targetHandle = take(rest, 'targetHandle', isText)
  const label = take(rest, 'label', isText)
  const type = take(rest, 'type', isText)
  return {
    id,
    source: take(rest, 'source', isText) ?? '',
    target: take(rest, 'target', isText) ?? '',
    ...(sourceHandle !== undefined && { sourceHandle }),
    ...(targetHandle !== undefined && { targetHandle }),
    ...(label !== undefined && { label }),
    ...(type !== undefined && { type }),
    data: take(rest, 'data', isObject) ?? {},
    rest
  }
}

/** The way back: what `insert` writes so that the same element reads from it. */
export function nodeFields(node: DesignNode): JsonObject {
  const { id: _, rest, ...known } = node
  return { ...rest, ...known, position: { ...node.position }, data: definedOnly(node.data) }
}

export function edgeFields(edge: DesignEdge): JsonObject {
  const { id: _, rest, ...known } = edge
  return { ...rest, ...known, data: definedOnly(edge.data) }
}

function definedOnly(data: { readonly [key: string]: Json | undefined }): JsonObject {
  const defined: Fields = {}
  for (const [key, value] of Object.entries(data)) if (value !== undefined) defined[key] = value
  return defined
}

function take<T extends Json>(fields: Fields, key: string, fits: (value: Json) => value is T): T | undefined {
  const value = fields[key]
  if (value === undefined || !fits(value)) return undefined
  delete fields[key]
  return value
}

function point(value: Json | undefined): Point {
  const { x, y } = isObject(value) ? value : {}
  return typeof x === 'number' && typeof y === 'number' ? { x, y } : { x: 0, y: 0 }
}

const isText = (value: Json): value is string => typeof value === 'string'
const isNumber = (value: Json): value is number => typeof value === 'number'
const isSize = (value: Json): value is number => typeof value === 'number' && value > 0

/** By Unicode code points, as the server sorts. (Plain `<` compares UTF-16 units, which differs beyond the first plane.) */
export function byCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    const left = a.charCodeAt(at)
    const right = b.charCodeAt(at)
    if (left !== right) return rank(left) - rank(right)
  }
  return a.length - b.length
}

/** Surrogates spell code points above everything that one unit can spell. */
const rank = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800)
