// The keys of an element that no field stands for, so that what other programs wrote can be seen and removed.

import { RawValue } from './RawValue'
import type { RawKey } from './raw-keys'
import { Section } from './Section'

/** Every key that the page has no field for: nothing of a design is out of sight. */
export function RawKeys({ keys, disabled }: { keys: readonly RawKey[]; disabled: boolean }) {
  if (keys.length === 0) return null
  return (
    <Section title="Other keys" hint="Kept as they are; other programs may need them.">
      <div>
        {keys.map(({ id, ...key }) => (
          <RawValue key={id} {...key} disabled={disabled} />
        ))}
      </div>
    </Section>
  )
}
