// Applying the fix of a finding, and what the person is told about it.

import type { Editor } from '../binding/types'
import type { DesignView } from '../design/elements'
import { shownName } from '../design/fix'
import type { Finding } from '../sync/analysis'
import { toast } from '../ui/toasts'
import { elementName } from './findings'

/** True: the design has been changed. */
export function mend(editor: Editor, finding: Finding, show: (nodes: readonly string[]) => void): boolean {
  const { autofix: fix } = finding
  if (fix === null || fix === undefined) return false
  const { view } = editor.state
  const say = (message: string, tone: 'ok' | 'warn') => void toast(message, { id: 'fix', testId: 'fix', tone })
  const [primary] = finding.elements
  if (primary !== undefined && !isThere(primary, view)) {
    say('This is not in the design any more: somebody deleted it. The findings follow in a moment.', 'warn')
    return false
  }
  const outcome = editor.applyFix(fix)
  switch (outcome.kind) {
    case 'done': {
      const near = outcome.made.nodes.flatMap(id => [id, ...(fix.place[id]?.near ?? [])])
      if (0 < near.length) show([...new Set(near)])
      say(`${fix.title}: done. Undo takes it back.`, 'ok')
      return true
    }
    case 'gone':
      say(
        `This fix needs ${named(outcome.missing, view)}, which somebody deleted. The findings follow in a moment.`,
        'warn'
      )
      return false
    case 'nothing':
      say('The design says all of this already. The findings follow in a moment.', 'warn')
      return false
    case 'refused':
      say(outcome.why, 'warn')
      return false
  }
}

export const isThere = (id: string, { nodes, edges, hidden }: DesignView): boolean =>
  nodes.has(id) || edges.has(id) || hidden.has(id)

function named(missing: readonly string[], view: DesignView): string {
  const [first = '', ...others] = missing
  return others.length === 0 ? `“${shownName(first, view)}”` : `${missing.length} elements`
}

/** What the fix will do, in a sentence: nobody should have to press a button to find out. */
export function fixSentence({ autofix: fix }: Finding, view: DesignView): string {
  if (fix === null || fix === undefined) return ''
  const { nodes, edges } = fix.patch
  const parts: string[] = []
  const fresh = nodes.upsert.filter(({ id }) => !view.nodes.has(id))
  const freshEdges = edges.upsert.filter(({ id }) => !isThere(id, view))
  const changed = [...nodes.upsert, ...edges.upsert].filter(({ id }) => isThere(id, view))
  if (0 < fresh.length) parts.push(`adds ${listed(fresh.map(nameOfNew))}`)
  if (0 < freshEdges.length)
    parts.push(`adds ${freshEdges.length === 1 ? 'a connection' : `${freshEdges.length} connections`}`)
  if (0 < changed.length) parts.push(`changes ${listed(changed.map(({ id }) => elementName(id, view)))}`)
  const removed = [...nodes.remove, ...edges.remove].map(id => elementName(id, view))
  if (0 < removed.length) parts.push(`removes ${listed(removed)}`)
  if (parts.length === 0) return ''
  const sentence = parts.join(', ')
  return `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}.`
}

function nameOfNew(node: { readonly id: string; readonly data?: unknown }): string {
  const { data } = node
  const label = typeof data === 'object' && data !== null && 'label' in data ? data.label : undefined
  return typeof label === 'string' ? `“${label}”` : 'a component'
}

const NAMED_MAX = 3

const listed = (names: readonly string[]): string =>
  names.length <= NAMED_MAX
    ? names.join(' and ')
    : `${names.slice(0, NAMED_MAX).join(', ')} and ${names.length - NAMED_MAX} more`
