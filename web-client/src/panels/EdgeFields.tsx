// The fields of one connection, or of several at once: each change is one act on all of them.

import { ArrowRight } from 'lucide-react'
import type { Editor } from '../binding/types'
import { type DesignEdge, type DesignView, nodeTitle, text } from '../design/elements'
import { LABEL_CHARS_MAX } from '../design/limits'
import { EDGE_FLAGS, ENCRYPTIONS, PROTOCOLS } from '../design/vocabulary'
import { Button } from '../ui/Button'
import { common } from './common'
import { DraftField } from './DraftField'
import { Flags } from './Flags'
import { flagsIn } from './flags'
import { atMost, trimmed } from './limits'
import { portValue, usualPort } from './port'
import { RawKeys } from './RawKeys'
import { rawOf } from './raw-keys'

export interface EdgeFieldsProps {
  editor: Editor
  view: DesignView
  edges: readonly DesignEdge[]
  disabled: boolean
}

const KNOWN = ['protocol', 'port', 'encryption']
const labelFits = atMost('A label', LABEL_CHARS_MAX)
const PROTOCOL_NAMES = PROTOCOLS.map(({ name }) => name)

export function EdgeFields({ editor, view, edges, disabled }: EdgeFieldsProps) {
  const ids = edges.map(({ id }) => id)
  const write = (key: string) => (value: string) => editor.patchData(ids, { [key]: value === '' ? undefined : value })
  const of = (key: string) => common(edges, ({ data }) => data[key])
  const [only] = edges
  return (
    <>
      {edges.length === 1 && only !== undefined && <Ends editor={editor} view={view} edge={only} />}
      <div className="flex flex-col gap-2.5 px-3 py-3">
        <DraftField
          label="Label"
          value={common(edges, ({ label }) => label)}
          write={value => editor.patchElements(ids, { label: value === '' ? undefined : value })}
          check={labelFits}
          disabled={disabled}
        />
        <div className="grid grid-cols-[1fr_6.5rem] items-start gap-2">
          <DraftField
            label="Protocol"
            value={of('protocol')}
            write={write('protocol')}
            suggestions={PROTOCOL_NAMES}
            placeholder="Not said"
            disabled={disabled}
          />
          <DraftField
            label="Port"
            value={of('port')}
            write={value => editor.patchData(ids, { port: portValue(value) })}
            kept={trimmed}
            placeholder="Not said"
            disabled={disabled}
          />
        </div>
        {!disabled && <PortOffer edges={edges} take={port => editor.patchData(ids, { port })} />}
        <DraftField
          label="Encryption"
          value={of('encryption')}
          write={write('encryption')}
          suggestions={ENCRYPTIONS}
          placeholder="Not said"
          disabled={disabled}
        />
      </div>
      <Flags
        flags={flagsIn(edges, EDGE_FLAGS)}
        write={(name, value) => editor.patchFlags(ids, { [name]: value })}
        disabled={disabled}
      />
      <RawKeys keys={rawOf(editor, edges, KNOWN)} disabled={disabled} />
    </>
  )
}

/** A protocol brings its usual port only when somebody takes it: a port that was chosen on purpose is never overwritten. */
function PortOffer({ edges, take }: { edges: readonly DesignEdge[]; take: (port: number) => boolean }) {
  const protocol = common(edges, ({ data }) => data.protocol)
  const usual = protocol.several ? null : usualPort(text(protocol.value))
  if (usual === null || edges.every(({ data }) => text(data.port) === String(usual.port))) return null
  return (
    <p className="-mt-1 flex items-center gap-2 text-xs text-muted">
      {usual.name} usually uses {usual.port}.
      <Button size="small" onClick={() => take(usual.port)}>
        Use port {usual.port}
      </Button>
    </p>
  )
}

function Ends({ editor, view, edge }: { editor: Editor; view: DesignView; edge: DesignEdge }) {
  const end = (id: string, what: string) => {
    const node = view.nodes.get(id)
    const name = node === undefined ? id : nodeTitle(node)
    return (
      <button
        type="button"
        disabled={node === undefined}
        aria-label={`Go to the ${what}, ${name}`}
        onClick={() => editor.reveal(id)}
        className="min-w-0 cursor-pointer truncate rounded text-accent underline-offset-2 hover:underline disabled:text-muted"
      >
        {name}
      </button>
    )
  }
  return (
    <div className="flex items-center gap-1.5 border-b border-line px-3 py-2 text-sm">
      {end(edge.source, 'source')}
      <ArrowRight size={14} aria-hidden="true" className="shrink-0 text-muted" />
      {end(edge.target, 'target')}
    </div>
  )
}
