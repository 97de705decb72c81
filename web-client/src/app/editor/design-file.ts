// The open design as a file: everything that the document holds, edges that lead nowhere and unknown keys included. An import takes it back.

import type { Doc } from 'yjs'
import { edgesOf, metaOf, nodesOf, plain } from '../../design/document'
import { isObject, type Json } from '../../design/elements'

export function designFile(design: string, name: string, doc: Doc): string {
  const file = {
    schema_version: 1,
    id: design,
    name,
    nodes: elementsOf(nodesOf(doc)),
    edges: elementsOf(edgesOf(doc)),
    meta: plain(metaOf(doc))
  }
  return `${JSON.stringify(file, null, 2)}\n`
}

/** Sorted by id, so that two files of the same design are the same. */
function elementsOf(elements: Iterable<[string, unknown]>): Json[] {
  return [...elements]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, element]) => {
      const fields = plain(element)
      return { ...(isObject(fields) ? fields : {}), id }
    })
}
