// Catches what fails while the page is drawn, so that people see what happened and not a blank window.

import { Component, type ReactNode } from 'react'
import { Button } from '../ui/Button'
import { EmptyState } from '../ui/EmptyState'
import { messageOf } from './words'

/** What is shown when the page itself fails: a bug, told as one. What was edited is in IndexedDB, not in what failed. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { failed: unknown }> {
  override state = { failed: null as unknown }

  static getDerivedStateFromError(error: unknown) {
    return { failed: error ?? new Error('unknown') }
  }

  override render() {
    if (this.state.failed === null) return this.props.children
    return (
      <main className="flex min-h-full items-center justify-center">
        <h1 className="sr-only">This page has failed</h1>
        <EmptyState
          title="This page has failed"
          action={
            <Button tone="primary" onClick={() => location.reload()}>
              Reload
            </Button>
          }
        >
          <span role="alert">
            This is a mistake of the program. What you drew is kept on this device and is there after a reload.
          </span>
          <code className="mt-2 block font-mono text-xs break-words">{messageOf(this.state.failed)}</code>
        </EmptyState>
      </main>
    )
  }
}
