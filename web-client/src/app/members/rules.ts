// What the members dialog lets a person do: the server's rules (docs/API.md, Who may do what), so that nothing is offered that would be refused.

import type { Member } from '../../sync/api'
import type { Person } from '../../sync/person'

export interface MemberRights {
  /** Add people, change roles, remove people. */
  manage: boolean
  /** Per member (user id): whether the role may change, and who may go. */
  of: (member: Member) => { changeRole: boolean; remove: boolean; why: string | null }
}

export function memberRights(members: readonly Member[], person: Person): MemberRights {
  const own = members.find(each => each.user === person.id)
  const manage = person.role === 'admin' || (person.role === 'architect' && own?.role === 'owner')
  const owners = members.filter(each => each.role === 'owner').length
  return {
    manage,
    of: member => {
      const last = member.role === 'owner' && owners === 1
      const self = member.user === person.id
      return {
        changeRole: manage && !last,
        remove: (manage || self) && !last,
        why: last && (manage || self) ? 'The last owner. Make somebody else an owner first.' : null
      }
    }
  }
}
