// @vitest-environment happy-dom
import { act, cleanup, render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { ReactFlow } from '@xyflow/react'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { Avatars } from './Avatars'
import { Cursors } from './Cursors'
import { PeerRings } from './PeerRings'
import { PresenceLayer } from './PresenceLayer'
import { PeersStore } from './peers'

const made: Awareness[] = []
afterEach(() => {
  cleanup()
  for (const awareness of made.splice(0)) awareness.destroy()
})

function awareness(): Awareness {
  const own = new Awareness(new Y.Doc())
  made.push(own)
  return own
}

function somebody(to: Awareness, userId: string, name: string) {
  const theirs = awareness()
  return (change: { cursor?: { x: number; y: number } | null; selection?: string[] }) => {
    theirs.setLocalState({ user: { id: userId, name, color: 2 }, cursor: null, selection: [], drag: null, ...change })
    act(() => applyAwarenessUpdate(to, encodeAwarenessUpdate(theirs, [theirs.clientID]), 'network'))
  }
}

const NODES = [
  {
    id: 'n',
    position: { x: 40, y: 50 },
    data: { label: 'N' },
    width: 100,
    height: 50,
    measured: { width: 100, height: 50 }
  }
]

function canvas(peers: PeersStore) {
  render(
    <ReactFlow nodes={NODES} edges={[]}>
      <PresenceLayer>
        <PeerRings peers={peers} />
        <Cursors peers={peers} />
      </PresenceLayer>
    </ReactFlow>
  )
}

describe('the cursors of others', () => {
  it('come with a name as text, stand where they point, and go', () => {
    const own = awareness()
    const peers = new PeersStore(own, 'me')
    const ada = somebody(own, 'ada', '<b>Ada</b>')
    ada({ cursor: { x: 12, y: 34 } })
    canvas(peers)
    const cursor = screen.getByTestId('cursor')
    expect(cursor.dataset.user).toBe('ada')
    expect(cursor.textContent).toBe('<b>Ada</b>')
    expect(cursor.style.transform).toContain('translate(12.00px, 34.00px)')
    ada({ cursor: null })
    expect(screen.queryByTestId('cursor')).toBeNull()
  })

  it('move without being drawn again', () => {
    const own = awareness()
    const peers = new PeersStore(own, 'me')
    const ada = somebody(own, 'ada', 'Ada')
    ada({ cursor: { x: 0, y: 0 } })
    canvas(peers)
    const cursor = screen.getByTestId('cursor')
    const marked = new MutationObserver(() => {})
    marked.observe(cursor, { childList: true, subtree: true })
    for (let step = 1; step <= 20; step++) ada({ cursor: { x: step, y: step } })
    expect(screen.getByTestId('cursor')).toBe(cursor)
    expect(marked.takeRecords()).toEqual([])
  })
})

describe('the rings of others', () => {
  it('lie around what somebody has selected, and not around what does not exist', () => {
    const own = awareness()
    const peers = new PeersStore(own, 'me')
    const ada = somebody(own, 'ada', 'Ada')
    ada({ selection: ['n', 'gone', '"]\\evil'] })
    canvas(peers)
    const rings = screen.getAllByTestId('peer-ring')
    expect(rings.map(ring => ring.dataset.element)).toEqual(['n'])
    expect(rings[0]?.parentElement?.style.transform).toBe('translate(40px, 50px)')
    expect(screen.getByText('Ada')).toBeTruthy()
    ada({ selection: [] })
    expect(screen.queryByTestId('peer-ring')).toBeNull()
  })

  it('are three at most, with one name and a count', () => {
    const own = awareness()
    const peers = new PeersStore(own, 'me')
    for (const name of ['Ada', 'Bob', 'Chi', 'Dora']) somebody(own, name, name)({ selection: ['n'] })
    canvas(peers)
    expect(screen.getAllByTestId('peer-ring')).toHaveLength(3)
    expect(screen.getByText(/^(Ada|Bob|Chi|Dora) \+3$/)).toBeTruthy()
  })
})

describe('avatars', () => {
  it('show people by name and initials, count the rest, and lead to them', async () => {
    const own = awareness()
    const peers = new PeersStore(own, 'me')
    for (const name of ['Ada Lovelace', 'Bob', 'Chi', 'Dora']) somebody(own, name, name)({})
    const jump = vi.fn()
    render(<Avatars peers={peers} onJump={jump} most={3} />)
    expect(screen.getAllByTestId('avatar')).toHaveLength(3)
    expect(screen.getByRole('button', { name: '1 more person' })).toBeTruthy()
    const [first] = screen.getAllByTestId('avatar')
    if (first === undefined) throw new Error('unreachable')
    await userEvent.click(first)
    expect(jump.mock.calls[0]?.[0]).toMatchObject({ name: first.getAttribute('aria-label') })
  })

  it('are not there when nobody else is', () => {
    render(<Avatars peers={new PeersStore(awareness(), 'me')} onJump={() => {}} />)
    expect(screen.queryByRole('list')).toBeNull()
  })
})
