// What an address that leads nowhere shows, with the way back to the designs.

import { Compass } from 'lucide-react'
import { EmptyState } from '../ui/EmptyState'
import { Link } from './Link'
import { useTitle } from './title'

export function NotFoundPage() {
  useTitle('Not found')
  return (
    <main className="flex min-h-full items-center justify-center">
      <h1 className="sr-only">Not found</h1>
      <EmptyState
        icon={<Compass size={40} aria-hidden="true" />}
        title="There is no page here"
        action={
          <Link href="/" className="text-accent underline">
            To your designs
          </Link>
        }
      >
        The address may be mistyped, or the link was cut off.
      </EmptyState>
    </main>
  )
}
