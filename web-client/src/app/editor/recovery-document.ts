// What one press downloads when there are recovery files: one of them as it is, several as one document, since browsers may stop a second download.

import { isObject, type Json, type JsonObject } from '../../design/elements'
import type { RecoveryFile } from '../../sync/types'

/** The files oldest first. An import takes the elements of all of them, of each its newest state; every file is in it whole. */
export function recoveryDocument(files: readonly RecoveryFile[]): string {
  const [only] = files
  if (only !== undefined && files.length === 1) return only.json
  const recovered = files.map(contentOf)
  const { name } = recovered.at(-1) ?? {}
  return JSON.stringify(
    {
      name: name ?? 'Recovered',
      nodes: newest(recovered, 'nodes'),
      edges: newest(recovered, 'edges'),
      recovery: { files: recovered }
    },
    null,
    2
  )
}

function contentOf({ json }: RecoveryFile): JsonObject {
  const content: unknown = JSON.parse(json)
  if (!isObject(content)) throw new Error('A recovery file is damaged.')
  return content
}

/** Of elements that several files have, the one of the last file. */
function newest(files: readonly JsonObject[], key: 'nodes' | 'edges'): Json[] {
  const found = new Map<Json | undefined, Json>()
  for (const each of files.flatMap(file => file[key] ?? [])) if (isObject(each)) found.set(each.id, each)
  return [...found.values()]
}
