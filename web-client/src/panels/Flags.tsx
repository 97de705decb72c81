// Security flags: yes, no, or not said, which is neither.

import { Plus } from 'lucide-react'
import { useId, useState } from 'react'
import { flagTitle } from '../design/vocabulary'
import { Button } from '../ui/Button'
import { cx } from '../ui/classes'
import { TextField } from '../ui/fields'
import { type Flag, type FlagState, flagState, flagValue, wrongFlag } from './flags'
import { showJson } from './json-value'
import { Section } from './Section'

export interface FlagsProps {
  flags: readonly Flag[]
  /** Undefined removes the flag. False: it was not permitted. */
  write: (name: string, value: boolean | undefined) => boolean
  disabled: boolean
}

export function Flags({ flags, write, disabled }: FlagsProps) {
  return (
    <Section title="Security">
      <ul className="flex flex-col gap-1.5">
        {flags.map(flag => (
          <li key={flag.name}>
            <FlagRow flag={flag} write={write} disabled={disabled} />
          </li>
        ))}
      </ul>
      {!disabled && <AddFlag flags={flags} write={write} />}
    </Section>
  )
}

const CHOICES = [
  { choice: 'yes', words: 'Yes', on: 'bg-ok-soft text-ok' },
  { choice: 'no', words: 'No', on: 'bg-warn-soft text-warn' },
  { choice: 'unsaid', words: 'Not said', on: 'bg-hover text-ink' }
] as const

function FlagRow({ flag, write, disabled }: { flag: Flag } & Omit<FlagsProps, 'flags'>) {
  const group = useId()
  const state = flagState(flag)
  return (
    <fieldset disabled={disabled} className="flex items-center gap-2">
      <legend className="sr-only">{flagTitle(flag.name)}</legend>
      <span aria-hidden="true" title={flag.name} className="min-w-0 flex-1 text-xs leading-tight break-words text-ink">
        {flagTitle(flag.name)}
        <Unusual flag={flag} state={state} />
      </span>
      <span className="flex shrink-0 overflow-hidden rounded-md border border-line">
        {CHOICES.map(({ choice, words, on }) => (
          <label
            key={choice}
            className={cx(
              'border-l border-line px-1.5 py-0.5 text-xs first:border-l-0 has-focus-visible:outline-2 has-focus-visible:-outline-offset-2 has-focus-visible:outline-accent',
              !disabled && 'cursor-pointer',
              state === choice ? `font-medium ${on}` : cx('text-muted', !disabled && 'hover:bg-hover')
            )}
          >
            <input
              type="radio"
              name={group}
              className="sr-only"
              checked={state === choice}
              onChange={() => write(flag.name, flagValue(choice))}
            />
            {words}
          </label>
        ))}
      </span>
    </fieldset>
  )
}

function Unusual({ flag, state }: { flag: Flag; state: FlagState }) {
  if (state === 'several') return <span className="block text-muted italic">Several values</span>
  if (state !== 'other' || flag.value.several || flag.value.value === undefined) return null
  return <span className="block font-mono break-all text-muted">{showJson(flag.value.value)}</span>
}

function AddFlag({ flags, write }: Omit<FlagsProps, 'disabled'>) {
  const [name, setName] = useState('')
  const [error, setError] = useState<string | null>(null)
  const add = () => {
    const wrong = wrongFlag(name.trim(), flags)
    if (wrong !== null) {
      setError(wrong)
    } else if (write(name.trim(), true)) {
      setName('')
      setError(null)
    } else {
      setError('This was not written: the design cannot be edited right now.')
    }
  }
  return (
    <form
      className="flex items-start gap-1.5"
      onSubmit={event => {
        event.preventDefault()
        add()
      }}
    >
      <div className="flex-1">
        <TextField
          label="New flag"
          hideLabel
          placeholder="Another flag, such as wafEnabled"
          value={name}
          error={error}
          className="h-7! text-xs!"
          onChange={event => {
            setName(event.target.value)
            setError(null)
          }}
        />
      </div>
      <Button type="submit" size="small" icon={<Plus size={13} aria-hidden="true" />} disabled={name.trim() === ''}>
        Add
      </Button>
    </form>
  )
}
