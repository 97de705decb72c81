// Keys of elements that the page has no field for, with where they are written back.

import type { Editor } from '../binding/types'
import { type DesignEdge, type DesignNode, isObject, type Json } from '../design/elements'
import { type Common, common, rawKeys } from './common'

export interface RawKey {
  /** Unique in its list. */
  id: string
  /** As people read it: 'data.owner'. */
  name: string
  value: Common
  /** Undefined removes the key. False: it was not permitted. */
  write: (value: Json | undefined) => boolean
}

/** Those of `data` beyond `known`, then those of the elements themselves. */
export function rawOf(
  editor: Editor,
  elements: readonly (DesignNode | DesignEdge)[],
  known: readonly string[]
): RawKey[] {
  const ids = elements.map(({ id }) => id)
  const datas = elements.map(({ data }) => data)
  // Flags have a list of their own, unless some program wrote something else under their name.
  const unlisted = datas.map(({ securityFlags, ...data }) =>
    securityFlags === undefined || isObject(securityFlags) ? data : { ...data, securityFlags }
  )
  const rests = elements.map(({ rest }) => rest)
  const inData = rawKeys(unlisted, known).map(key => ({
    id: `data ${key}`,
    name: `data.${key}`,
    value: common(datas, data => data[key]),
    write: (value: Json | undefined) => editor.patchData(ids, { [key]: value })
  }))
  const onTop = rawKeys(rests, []).map(key => ({
    id: `top ${key}`,
    name: key,
    value: common(rests, rest => rest[key]),
    write: (value: Json | undefined) => editor.patchElements(ids, { [key]: value })
  }))
  return [...inData, ...onTop]
}
