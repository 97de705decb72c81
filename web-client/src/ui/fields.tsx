// Fields with their label and, if something is wrong, why: label and error are tied to the field for screen readers.

import { type ComponentProps, type ReactNode, useId } from 'react'
import { cx } from './classes'

interface Labelled {
  label: string
  /** The label is there for screen readers only: what stands around says it already. */
  hideLabel?: boolean
  /** One line of help. */
  hint?: ReactNode
  /** What is wrong with the value, or null. */
  error?: string | null
}

const BOX =
  'w-full rounded-md border bg-raised px-2.5 text-sm text-ink placeholder:text-faint disabled:opacity-60 read-only:text-muted'

const borderOf = (error: string | null | undefined) => (error ? 'border-danger' : 'border-line')

function describe(id: string, { hint, error }: Labelled) {
  const ids = [error ? `${id}-error` : '', hint !== undefined ? `${id}-hint` : ''].filter(each => each !== '')
  return {
    'aria-invalid': error ? true : undefined,
    'aria-describedby': ids.length === 0 ? undefined : ids.join(' ')
  }
}

function Field({ id, label, hideLabel, hint, error, children }: Labelled & { id: string; children: ReactNode }) {
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className={hideLabel ? 'sr-only' : 'text-xs font-medium text-muted'}>
        {label}
      </label>
      {children}
      {error && (
        <p id={`${id}-error`} role="alert" className="text-xs text-danger">
          {error}
        </p>
      )}
      {hint !== undefined && (
        <p id={`${id}-hint`} className="text-xs text-faint">
          {hint}
        </p>
      )}
    </div>
  )
}

export type TextFieldProps = Labelled & Omit<ComponentProps<'input'>, 'id'>

export function TextField({ label, hideLabel, hint, error, className, ...rest }: TextFieldProps) {
  const id = useId()
  const labelled = labelledOf(label, hideLabel, hint, error)
  return (
    <Field id={id} {...labelled}>
      <input id={id} className={cx(BOX, 'h-9', borderOf(error), className)} {...describe(id, labelled)} {...rest} />
    </Field>
  )
}

export type TextAreaProps = Labelled & Omit<ComponentProps<'textarea'>, 'id'>

export function TextArea({ label, hideLabel, hint, error, className, ...rest }: TextAreaProps) {
  const id = useId()
  const labelled = labelledOf(label, hideLabel, hint, error)
  return (
    <Field id={id} {...labelled}>
      <textarea id={id} className={cx(BOX, 'py-2', borderOf(error), className)} {...describe(id, labelled)} {...rest} />
    </Field>
  )
}

export interface Option {
  value: string
  label: string
  disabled?: boolean
}

export type SelectProps = Labelled & Omit<ComponentProps<'select'>, 'id' | 'children'> & { options: readonly Option[] }

/** The browser's own select: it is the most accessible one there is, on a phone too. */
export function Select({ label, hideLabel, hint, error, options, className, ...rest }: SelectProps) {
  const id = useId()
  const labelled = labelledOf(label, hideLabel, hint, error)
  return (
    <Field id={id} {...labelled}>
      <select id={id} className={cx(BOX, 'h-9 pr-1', borderOf(error), className)} {...describe(id, labelled)} {...rest}>
        {options.map(option => (
          <option key={option.value} value={option.value} disabled={option.disabled}>
            {option.label}
          </option>
        ))}
      </select>
    </Field>
  )
}

/** Leaves out what is not there, as exact optional properties want it. */
function labelledOf(label: string, hideLabel?: boolean, hint?: ReactNode, error?: string | null): Labelled {
  return {
    label,
    error: error ?? null,
    ...(hideLabel === undefined ? {} : { hideLabel }),
    ...(hint === undefined ? {} : { hint })
  }
}
