// Who else is here. A press on somebody brings their cursor into the middle of the view.

import type { Role } from '../sync/types'
import { Tooltip } from '../ui/Tooltip'
import { PEER_INK } from './colours'
import type { PeersStore, Person } from './peers'
import { usePeers } from './use-peers'

export interface AvatarsProps {
  peers: PeersStore
  /** Brings the person's cursor into view. */
  onJump: (person: Person) => void
  /** From the list of members, as far as it is known here. */
  roleOf?: (userId: string) => Role | null
  /** Avatars that are shown; the others are counted. */
  most?: number
}

const ROLE_WORDS: Readonly<Record<Role, string>> = {
  owner: 'Owner',
  editor: 'Can edit',
  commenter: 'Can comment',
  viewer: 'Can view'
}

const SHAPE =
  'inline-flex size-7 shrink-0 items-center justify-center rounded-full text-[11px] font-semibold ring-2 ring-panel'

export function Avatars({ peers, onJump, roleOf, most = 5 }: AvatarsProps) {
  const people = usePeers(peers, state => state.people)
  const more = usePeers(peers, state => state.more)
  if (people.length === 0) return null
  const shown = people.slice(0, most)
  const rest = people.slice(most)
  return (
    <ul aria-label="People here" className="flex items-center -space-x-1">
      {shown.map(person => (
        <li key={person.userId} className="flex">
          <Avatar person={person} role={roleOf?.(person.userId) ?? null} onJump={onJump} />
        </li>
      ))}
      {0 < rest.length + more && (
        <li className="flex">
          <Tooltip text={<Others people={rest} more={more} />}>
            <button
              type="button"
              aria-label={rest.length + more === 1 ? '1 more person' : `${rest.length + more} more people`}
              className={`${SHAPE} bg-hover text-muted`}
            >
              +{rest.length + more}
            </button>
          </Tooltip>
        </li>
      )}
    </ul>
  )
}

function Avatar({ person, role, onJump }: { person: Person; role: Role | null; onJump: (person: Person) => void }) {
  const { name, initials, colour, clientIds } = person
  const words = (
    <span className="flex flex-col">
      <bdi className="font-medium">{name}</bdi>
      {role !== null && <span className="text-muted">{ROLE_WORDS[role]}</span>}
      {1 < clientIds.length && <span className="text-muted">{clientIds.length} windows</span>}
      <span className="text-muted">Press to see where they point</span>
    </span>
  )
  return (
    <Tooltip text={words}>
      <button
        type="button"
        data-testid="avatar"
        aria-label={name}
        onClick={() => onJump(person)}
        className={`${SHAPE} cursor-pointer`}
        style={{ backgroundColor: colour, color: PEER_INK }}
      >
        {initials}
      </button>
    </Tooltip>
  )
}

const OTHERS_NAMED_MAX = 12

function Others({ people, more }: { people: readonly Person[]; more: number }) {
  const unnamed = people.length + more - Math.min(people.length, OTHERS_NAMED_MAX)
  return (
    <span className="flex flex-col">
      {people.slice(0, OTHERS_NAMED_MAX).map(person => (
        <bdi key={person.userId}>{person.name}</bdi>
      ))}
      {0 < unnamed && <span className="text-muted">and {unnamed} more</span>}
    </span>
  )
}
