// The page of whoever is not signed in: signing in, or making an account, and then on to where they wanted to go.

import { useState } from 'react'
import { Button } from '../ui/Button'
import { Logo } from './Logo'
import { navigate } from './router'
import { SignInForm } from './SignInForm'
import { useAccount } from './services'
import { useTitle } from './title'

/** `next`: where to go then. */
export function SignInPage({ next }: { next: string }) {
  const [mode, setMode] = useState<'signin' | 'register'>('signin')
  const state = useAccount()
  const ended = state.kind === 'signed-out' ? state.ended : null
  const heading = mode === 'signin' ? 'Sign in' : 'Create an account'
  useTitle(heading)
  return (
    <main className="flex min-h-full items-center justify-center bg-canvas p-4">
      <div className="w-full max-w-sm">
        <p className="mb-6 flex items-center justify-center gap-2 text-lg font-semibold">
          <Logo size={28} /> Atlas Collab
        </p>
        <div className="rounded-xl border border-line bg-panel p-6 shadow-panel">
          <h1 className="mb-4 text-xl font-semibold">{heading}</h1>
          {ended !== null && mode === 'signin' && (
            <p className="mb-4 rounded-md bg-warn-soft px-3 py-2 text-sm text-warn">
              Your login ended. What you drew is still on this device; sign in to go on with it.
            </p>
          )}
          <SignInForm
            key={mode}
            mode={mode}
            {...(ended !== null && mode === 'signin' ? { email: ended.email } : {})}
            onDone={() => navigate(next, { replace: true })}
          />
        </div>
        <p className="mt-4 flex items-center justify-center gap-2 text-sm text-muted">
          {mode === 'signin' ? 'New here?' : 'You have an account?'}
          <Button size="small" onClick={() => setMode(mode === 'signin' ? 'register' : 'signin')}>
            {mode === 'signin' ? 'Create an account' : 'Sign in instead'}
          </Button>
        </p>
      </div>
    </main>
  )
}
