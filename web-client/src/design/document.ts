// The shared document by name (docs/DOCUMENT.md): roots, and which of its values are shared maps.

import * as Y from 'yjs'
import { isObject, type Json, type JsonObject } from './elements'

/** The origin of this person's own gestures: what undo tracks, and nothing else is written under it. */
export const OWN = Symbol('own gesture')

export type SharedElement = Y.Map<unknown>

export const nodesOf = (doc: Y.Doc): Y.Map<SharedElement> => doc.getMap('nodes')
export const edgesOf = (doc: Y.Doc): Y.Map<SharedElement> => doc.getMap('edges')
export const metaOf = (doc: Y.Doc): Y.Map<unknown> => doc.getMap('meta')

/** A value of the document as plain JSON; what JSON cannot say (binary, undefined, NaN) reads as null. */
export function plain(value: unknown): Json {
  if (value instanceof Y.AbstractType) return plain(value.toJSON())
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Uint8Array) return null
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      // -0 reads as 0.
      return Number.isFinite(value) ? value + 0 : null
    case 'bigint':
      return BigInt(Number(value)) === value ? Number(value) : String(value)
    case 'object': {
      if (value === null) return null
      const object: Record<string, Json> = {}
      for (const [key, each] of Object.entries(value)) if (each !== undefined) object[key] = plain(each)
      return object
    }
    default:
      return null
  }
}

/** A new element's shared map. `data` and `data.securityFlags` are shared maps from the start, also when they are empty. */
export function sharedElement(fields: JsonObject): SharedElement {
  const element: SharedElement = new Y.Map()
  for (const [key, value] of Object.entries(fields)) if (key !== 'data' && key !== 'id') element.set(key, value)
  element.set('data', sharedData(isObject(fields.data) ? fields.data : {}))
  return element
}

function sharedData(data: JsonObject): SharedElement {
  const shared: SharedElement = new Y.Map()
  for (const [key, value] of Object.entries(data)) if (key !== 'securityFlags') shared.set(key, value)
  const flags = isObject(data.securityFlags) ? data.securityFlags : {}
  shared.set('securityFlags', new Y.Map(Object.entries(flags)))
  return shared
}

/** The shared `data` of an element, or null where somebody's program wrote something else there. */
export function dataOf(element: SharedElement): SharedElement | null {
  const data = element.get('data')
  return data instanceof Y.Map ? data : null
}

export function flagsMapOf(element: SharedElement): SharedElement | null {
  const flags = dataOf(element)?.get('securityFlags')
  return flags instanceof Y.Map ? flags : null
}
