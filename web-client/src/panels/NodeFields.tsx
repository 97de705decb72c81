// The fields of one component, or of several at once: each change is one act on all of them.

import type { Editor } from '../binding/types'
import { type DesignNode, type DesignView, flagsOf, text } from '../design/elements'
import { KINDS, kindOf } from '../design/kinds'
import { DESCRIPTION_CHARS_MAX, LABEL_CHARS_MAX } from '../design/limits'
import { usualNodeFlags, ZONES } from '../design/vocabulary'
import { Select } from '../ui/fields'
import { common } from './common'
import { DraftField } from './DraftField'
import { Flags } from './Flags'
import { flagsIn } from './flags'
import { atMost } from './limits'
import { RawKeys } from './RawKeys'
import { rawOf } from './raw-keys'

export interface NodeFieldsProps {
  editor: Editor
  view: DesignView
  nodes: readonly DesignNode[]
  disabled: boolean
}

const KNOWN = ['type', 'label', 'zone', 'description']
const labelFits = atMost('A label', LABEL_CHARS_MAX)
const descriptionFits = atMost('A description', DESCRIPTION_CHARS_MAX)

export function NodeFields({ editor, view, nodes, disabled }: NodeFieldsProps) {
  const ids = nodes.map(({ id }) => id)
  // An emptied field takes its key with it: no key and an empty text mean the same to people.
  const write = (key: string) => (value: string) => editor.patchData(ids, { [key]: value === '' ? undefined : value })
  const of = (key: string) => common(nodes, ({ data }) => data[key])
  return (
    <>
      <div className="flex flex-col gap-2.5 px-3 py-3">
        <DraftField label="Label" value={of('label')} write={write('label')} check={labelFits} disabled={disabled} />
        <KindField nodes={nodes} write={kind => editor.patchData(ids, { type: kind })} disabled={disabled} />
        <DraftField
          label="Zone"
          value={of('zone')}
          write={write('zone')}
          suggestions={zonesOf(view)}
          placeholder="Not said"
          disabled={disabled}
        />
        <DraftField
          label="Description"
          value={of('description')}
          write={write('description')}
          check={descriptionFits}
          lines={3}
          disabled={disabled}
        />
      </div>
      <Flags
        flags={flagsIn(nodes, usualFlags(nodes))}
        write={(name, value) => editor.patchFlags(ids, { [name]: value })}
        disabled={disabled}
      />
      <RawKeys keys={rawOf(editor, nodes, KNOWN)} disabled={disabled} />
    </>
  )
}

function usualFlags(nodes: readonly DesignNode[]): string[] {
  const has = new Set(nodes.flatMap(({ data }) => Object.keys(flagsOf(data))))
  return usualNodeFlags(
    nodes.map(({ data }) => data.type),
    has
  )
}

interface KindFieldProps {
  nodes: readonly DesignNode[]
  write: (kind: string) => boolean
  disabled: boolean
}

const SEVERAL = '\u0000several'
const UNSAID = '\u0000unsaid'

/** Kinds that the palette does not have stay as they are, and in sight, until somebody chooses another one. */
function KindField({ nodes, write, disabled }: KindFieldProps) {
  const kind = common(nodes, ({ data }) => data.type)
  const name = kind.several ? '' : text(kind.value)
  const known = kindOf(name) !== null
  const value = kind.several ? SEVERAL : known ? name : name === '' ? UNSAID : name
  const first = kind.several
    ? [{ value: SEVERAL, label: 'Several values', disabled: true }]
    : known
      ? []
      : [{ value, label: name === '' ? 'Not said' : `${name} (not in the palette)`, disabled: true }]
  return (
    <Select
      label="Kind"
      value={value}
      disabled={disabled}
      className="h-8! text-ink! disabled:opacity-100!"
      options={[...first, ...KINDS.map(({ id, title }) => ({ value: id, label: title }))]}
      onChange={event => write(event.target.value)}
    />
  )
}

/** The usual zones, then those that the design has besides. */
function zonesOf(view: DesignView): string[] {
  const zones = new Set<string>(ZONES)
  for (const { data } of view.nodes.values()) if (text(data.zone) !== '') zones.add(text(data.zone))
  return [...zones]
}
