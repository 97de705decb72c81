// One member of a design: who they are, their role, and the way out, each only as far as one may.

import { Lock, LogOut, UserMinus } from 'lucide-react'
import type { Member } from '../../sync/api'
import type { Role } from '../../sync/types'
import { Select } from '../../ui/fields'
import { IconButton } from '../../ui/IconButton'
import { Tooltip } from '../../ui/Tooltip'
import { ROLE_HELP, ROLE_WORDS } from '../words'

const ROLES: readonly Role[] = ['owner', 'editor', 'commenter', 'viewer']

export interface MemberRowProps {
  member: Member
  self: boolean
  rights: { changeRole: boolean; remove: boolean; why: string | null }
  busy: boolean
  onRole: (role: Role) => void
  onRemove: () => void
}

export function MemberRow({ member, self, rights, busy, onRole, onRemove }: MemberRowProps) {
  const title = member.name ?? member.email
  return (
    <li data-testid="member-row" className="flex items-center gap-3 px-3 py-2">
      <div className="min-w-0 flex-1">
        <p className="truncate text-sm font-medium">
          {title}
          {self && <span className="text-muted"> (you)</span>}
        </p>
        <p className="truncate text-xs text-muted">{member.email}</p>
      </div>
      {rights.why !== null && (
        <Tooltip text={rights.why}>
          <button type="button" aria-label={rights.why} className="rounded p-1 text-faint">
            <Lock size={14} aria-hidden="true" />
          </button>
        </Tooltip>
      )}
      {rights.changeRole ? (
        <Select
          label={`Role of ${title}`}
          hideLabel
          value={member.role}
          disabled={busy}
          onChange={event => {
            const role = ROLES.find(each => each === event.target.value)
            if (role !== undefined) onRole(role)
          }}
          options={ROLES.map(role => ({ value: role, label: ROLE_WORDS[role] }))}
        />
      ) : (
        <span title={ROLE_HELP[member.role]} className="text-sm text-muted">
          {ROLE_WORDS[member.role]}
        </span>
      )}
      {rights.remove && (
        <IconButton
          name={self ? 'Leave this design' : `Remove ${title}`}
          icon={self ? <LogOut size={16} aria-hidden="true" /> : <UserMinus size={16} aria-hidden="true" />}
          disabled={busy}
          onClick={onRemove}
        />
      )}
    </li>
  )
}
