// The design as a whole: what the inspector shows while nothing is selected.

import type { Editor } from '../binding/types'
import type { DesignView, Json } from '../design/elements'
import { DESCRIPTION_CHARS_MAX } from '../design/limits'
import { common, rawKeys } from './common'
import { wrongName } from './DesignName'
import { DraftField } from './DraftField'
import { atMost, trimmed } from './limits'
import { RawKeys } from './RawKeys'
import { Section } from './Section'

export interface DesignFieldsProps {
  editor: Editor
  view: DesignView
  disabled: boolean
}

const descriptionFits = atMost('A description', DESCRIPTION_CHARS_MAX)

export function DesignFields({ editor, view, disabled }: DesignFieldsProps) {
  const { meta } = view
  const raw = rawKeys([meta], ['name', 'description', 'schema_version']).map(key => ({
    id: key,
    name: key,
    value: common([meta], each => each[key]),
    write: (value: Json | undefined) => editor.patchMeta({ [key]: value })
  }))
  return (
    <>
      <div className="flex flex-col gap-2.5 px-3 py-3">
        <DraftField
          label="Name"
          value={common([meta], ({ name }) => name)}
          write={name => editor.patchMeta({ name })}
          kept={trimmed}
          check={wrongName}
          disabled={disabled}
        />
        <DraftField
          label="Description"
          value={common([meta], ({ description }) => description)}
          write={description => editor.patchMeta({ description: description === '' ? undefined : description })}
          check={descriptionFits}
          lines={4}
          disabled={disabled}
        />
      </div>
      <Section title="In this design">
        <dl className="grid grid-cols-[1fr_auto] gap-y-1 text-sm">
          <Count what="Components" count={view.nodes.size} />
          <Count what="Connections" count={view.edges.size} />
          {0 < view.hidden.size && <Count what="Hidden connections" count={view.hidden.size} />}
        </dl>
        {0 < view.hidden.size && (
          <p className="text-xs text-muted">
            A hidden connection lacks one of its components. It comes back when the component does.
          </p>
        )}
      </Section>
      <RawKeys keys={raw} disabled={disabled} />
    </>
  )
}

function Count({ what, count }: { what: string; count: number }) {
  return (
    <>
      <dt className="text-muted">{what}</dt>
      <dd className="text-right tabular-nums">{count.toLocaleString('en')}</dd>
    </>
  )
}
