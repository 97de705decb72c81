// What is selected, to be read and changed. Nothing selected: the design itself.

import { type ReactNode, useRef } from 'react'
import type { Editor, EditorState } from '../binding/types'
import { type DesignEdge, type DesignNode, edgeTitle, nodeTitle, text } from '../design/elements'
import { Badge } from '../ui/Badge'
import { Button } from '../ui/Button'
import { KindIcon } from '../ui/kind-icon'
import { DesignFields } from './DesignFields'
import { EdgeFields } from './EdgeFields'
import { NodeFields } from './NodeFields'
import { Section } from './Section'
import { useEditorState } from './use-editor'
import { type Gone, useGone } from './use-gone'

export interface InspectorProps {
  editor: Editor
  /** Why nothing can be edited, in a word or two; shown only while that is so. */
  readOnlyWhy?: string
}

export function Inspector({ editor, readOnlyWhy = 'Read-only' }: InspectorProps) {
  const state = useEditorState(editor)
  const panel = useRef<HTMLElement>(null)
  const [gone, forget] = useGone(editor, panel)
  const { view, canEdit } = state
  const { nodes, edges } = shown(state)
  const disabled = !canEdit
  // Fields belong to what they show: with another selection they are others, and what was typed into the old ones is written.
  const key = [...nodes, ...edges].map(({ id }) => id).join('\n')
  return (
    <aside
      ref={panel}
      data-testid="inspector"
      aria-label="Inspector"
      className="flex h-full min-h-0 flex-col overflow-y-auto bg-panel text-ink"
    >
      <Heading nodes={nodes} edges={edges} badge={disabled ? <Badge>{readOnlyWhy}</Badge> : null} />
      {gone !== null && <GoneNote gone={gone} forget={forget} />}
      {nodes.length + edges.length === 0 && <DesignFields editor={editor} view={view} disabled={disabled} />}
      {0 < nodes.length && <NodeFields key={`n${key}`} editor={editor} view={view} nodes={nodes} disabled={disabled} />}
      {0 < nodes.length && 0 < edges.length && <Divider count={edges.length} />}
      {0 < edges.length && <EdgeFields key={`e${key}`} editor={editor} view={view} edges={edges} disabled={disabled} />}
      {nodes.length + edges.length === 1 && <Facts nodes={nodes} edges={edges} />}
    </aside>
  )
}

interface Shown {
  nodes: readonly DesignNode[]
  edges: readonly DesignEdge[]
}

function shown({ view, selection }: EditorState): Shown {
  const nodes = selection.nodes.flatMap(id => view.nodes.get(id) ?? [])
  const edges = selection.edges.flatMap(id => view.edges.get(id) ?? [])
  return { nodes, edges }
}

function Heading({ nodes, edges, badge }: Shown & { badge: ReactNode }) {
  const [node] = nodes
  const [edge] = edges
  const one = nodes.length + edges.length === 1
  return (
    <header className="sticky top-0 z-10 flex min-h-11 shrink-0 items-center gap-2 border-b border-line bg-panel px-3">
      {one && node !== undefined && <KindIcon kind={text(node.data.type)} size={20} />}
      <h2 className="min-w-0 flex-1 truncate text-sm font-semibold">
        {nodes.length + edges.length === 0
          ? 'Design'
          : one
            ? ((node && nodeTitle(node)) ?? (edge && edgeTitle(edge)))
            : counted(nodes.length, edges.length)}
      </h2>
      {badge}
    </header>
  )
}

function counted(nodes: number, edges: number): string {
  const parts = [
    nodes === 0 ? '' : nodes === 1 ? '1 component' : `${nodes.toLocaleString('en')} components`,
    edges === 0 ? '' : edges === 1 ? '1 connection' : `${edges.toLocaleString('en')} connections`
  ]
  return parts.filter(part => part !== '').join(', ')
}

function Divider({ count }: { count: number }) {
  return (
    <h3 className="border-y border-line bg-canvas px-3 py-1.5 text-xs font-semibold text-muted">{counted(0, count)}</h3>
  )
}

function GoneNote({ gone, forget }: { gone: Gone; forget: () => void }) {
  return (
    <div role="alert" className="flex flex-col gap-2 border-b border-line bg-warn-soft px-3 py-2.5 text-sm text-warn">
      <p>“{gone.title}” was deleted while you were editing it.</p>
      {gone.text !== null && (
        <div>
          <p className="text-xs">In the field stood:</p>
          <p className="max-h-32 overflow-y-auto font-mono text-xs break-words whitespace-pre-wrap select-all">
            {gone.text}
          </p>
        </div>
      )}
      <div>
        <Button size="small" onClick={forget}>
          Close
        </Button>
      </div>
    </div>
  )
}

/** What the canvas changes and nobody types. */
function Facts({ nodes, edges }: Shown) {
  const [node] = nodes
  const [edge] = edges
  const facts: [string, string][] = []
  if (node !== undefined) {
    facts.push(['Id', node.id], ['Position', `${Math.round(node.position.x)}, ${Math.round(node.position.y)}`])
    if (node.width !== undefined && node.height !== undefined)
      facts.push(['Size', `${Math.round(node.width)} × ${Math.round(node.height)}`])
    if (node.parentId !== undefined) facts.push(['Moves with', node.parentId])
  }
  if (edge !== undefined) facts.push(['Id', edge.id])
  return (
    <Section title="On the canvas">
      <dl className="grid grid-cols-[auto_1fr] gap-x-3 gap-y-1 text-xs">
        {facts.map(([what, value]) => (
          <div key={what} className="contents">
            <dt className="text-muted">{what}</dt>
            <dd className="min-w-0 truncate text-right font-mono" title={value}>
              {value}
            </dd>
          </div>
        ))}
      </dl>
    </Section>
  )
}
