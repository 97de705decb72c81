// Email and password, for signing in and for a new account. Used by the page and, when a login ended, in place above the canvas.

import { type FormEvent, useState } from 'react'
import { ApiProblem } from '../sync/problems'
import { Button } from '../ui/Button'
import { TextField } from '../ui/fields'
import { useServices } from './services'
import { messageOf } from './words'

const PASSWORD_CHARS_MIN = 8
const PASSWORD_CHARS_MAX = 128

export interface SignInFormProps {
  mode: 'signin' | 'register'
  email?: string
  /** Only this person can go on with what is open here. */
  onlyThem?: boolean
  onDone: () => void
}

export function SignInForm({ mode, email = '', onlyThem = false, onDone }: SignInFormProps) {
  const { account } = useServices()
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<unknown>(null)

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    // Read from the form and not from state: password managers fill fields without telling React.
    const form = new FormData(event.currentTarget)
    const text = (name: string) => String(form.get(name) ?? '')
    const credentials = { email: text('email').trim(), password: text('password') }
    setBusy(true)
    setProblem(null)
    try {
      if (mode === 'signin') await account.login(credentials)
      else
        await account.register({ ...credentials, ...(text('name').trim() === '' ? {} : { name: text('name').trim() }) })
      onDone()
    } catch (error) {
      setProblem(error)
    } finally {
      setBusy(false)
    }
  }

  const of = (field: string) => (problem instanceof ApiProblem ? problem.of(field) : null)
  const told = ['email', 'password', 'name'].some(field => of(field) !== null)
  return (
    <form onSubmit={event => void submit(event)} className="flex flex-col gap-4">
      {problem !== null && !told && (
        <p role="alert" className="rounded-md bg-danger-soft px-3 py-2 text-sm text-danger">
          {messageOf(problem)}
        </p>
      )}
      {mode === 'register' && (
        <TextField
          label="Name"
          name="name"
          autoComplete="name"
          maxLength={100}
          error={of('name')}
          hint="What others see beside your cursor."
        />
      )}
      <TextField
        label="Email"
        name="email"
        type="email"
        autoComplete="username"
        required
        defaultValue={email}
        readOnly={onlyThem}
        error={of('email')}
      />
      <TextField
        label="Password"
        name="password"
        type="password"
        autoComplete={mode === 'signin' ? 'current-password' : 'new-password'}
        required
        maxLength={PASSWORD_CHARS_MAX}
        {...(mode === 'register' ? { minLength: PASSWORD_CHARS_MIN, hint: 'At least 8 characters.' } : {})}
        error={of('password')}
      />
      <Button type="submit" tone="primary" busy={busy}>
        {mode === 'signin' ? 'Sign in' : 'Create account'}
      </Button>
    </form>
  )
}
