// Who may view, edit and own a design. Owners change it; everybody else sees it, and may leave.

import { type FormEvent, useCallback, useEffect, useRef, useState } from 'react'
import type { Member } from '../../sync/api'
import type { Person } from '../../sync/person'
import type { Role } from '../../sync/types'
import { Button } from '../../ui/Button'
import { ConfirmDialog, Dialog } from '../../ui/Dialog'
import { Select, TextField } from '../../ui/fields'
import { Spinner } from '../../ui/Spinner'
import { useServices } from '../services'
import { messageOf, ROLE_HELP, ROLE_WORDS } from '../words'
import { MemberRow } from './MemberRow'
import { memberRights } from './rules'

export interface MembersDialogProps {
  design: string
  name: string
  person: Person
  onClose: () => void
  /** The person left the design. */
  onLeft: () => void
}

export function MembersDialog({ design, name, person, onClose, onLeft }: MembersDialogProps) {
  const { api } = useServices()
  const [members, setMembers] = useState<readonly Member[] | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const [busy, setBusy] = useState(false)
  const [removing, setRemoving] = useState<Member | null>(null)

  const load = useCallback(async () => {
    try {
      setMembers(await api.members(design))
    } catch (error) {
      setProblem(messageOf(error))
    }
  }, [api, design])
  useEffect(() => void load(), [load])

  /** Does one thing at the server, tells what went wrong, and shows what is true afterwards. */
  const act = async (what: () => Promise<unknown>): Promise<boolean> => {
    setBusy(true)
    setProblem(null)
    let done = true
    try {
      await what()
    } catch (error) {
      setProblem(messageOf(error))
      done = false
    }
    await load()
    setBusy(false)
    return done
  }
  const remove = async (member: Member) => {
    await api.removeMember(design, member.user)
    setRemoving(null)
    if (member.user === person.id) {
      onClose()
      onLeft()
    } else {
      await load()
    }
  }

  const rights = members === null ? null : memberRights(members, person)
  return (
    <Dialog
      open
      size="wide"
      onClose={onClose}
      title={`Members of “${name}”`}
      description={rights !== null && !rights.manage ? 'Only owners can change who takes part.' : undefined}
    >
      {problem !== null && (
        <p role="alert" className="mb-3 rounded-md bg-danger-soft px-3 py-2 text-sm text-danger">
          {problem}
        </p>
      )}
      {members === null && problem === null && <Spinner label="Loading members" />}
      {members !== null && rights !== null && (
        <>
          <ul aria-label="Members" className="mb-4 divide-y divide-line rounded-md border border-line">
            {members.map(member => (
              <MemberRow
                key={member.user}
                member={member}
                self={member.user === person.id}
                rights={rights.of(member)}
                busy={busy}
                onRole={role => void act(() => api.setMember(design, member.user, role))}
                onRemove={() => setRemoving(member)}
              />
            ))}
          </ul>
          {rights.manage && (
            <AddMember
              busy={busy}
              onAdd={(email, role) => act(() => api.setMember(design, email, role))}
              members={members}
            />
          )}
        </>
      )}
      {removing !== null && (
        <ConfirmDialog
          open
          danger
          title={removing.user === person.id ? `Leave “${name}”?` : `Remove ${removing.name ?? removing.email}?`}
          confirm={removing.user === person.id ? 'Leave' : 'Remove'}
          onConfirm={() => remove(removing)}
          onClose={() => setRemoving(null)}
        >
          {removing.user === person.id
            ? 'You will no longer see this design. An owner can add you again.'
            : `${removing.name ?? removing.email} will no longer see this design. What they drew stays.`}
        </ConfirmDialog>
      )}
    </Dialog>
  )
}

interface AddMemberProps {
  members: readonly Member[]
  busy: boolean
  /** Whether it was done. */
  onAdd: (email: string, role: Role) => Promise<boolean>
}

const ROLES: readonly Role[] = ['editor', 'viewer', 'commenter', 'owner']

function AddMember({ members, busy, onAdd }: AddMemberProps) {
  const form = useRef<HTMLFormElement>(null)
  const [error, setError] = useState<string | null>(null)
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const given = new FormData(event.currentTarget)
    const email = String(given.get('email') ?? '').trim()
    const role = ROLES.find(each => each === given.get('role')) ?? 'viewer'
    if (!/^\S+@\S+$/.test(email)) return setError('Enter an email address.')
    if (members.some(each => each.email.toLowerCase() === email.toLowerCase())) {
      return setError('This person takes part already: change the role in the list.')
    }
    setError(null)
    if (await onAdd(email, role)) form.current?.reset()
  }
  return (
    <form
      ref={form}
      onSubmit={event => void submit(event)}
      noValidate
      className="grid grid-cols-1 items-start gap-2 sm:grid-cols-[1fr_13rem_auto]"
    >
      <TextField label="Email of a person to add" name="email" type="email" autoComplete="off" error={error} />
      <Select
        label="Role"
        name="role"
        defaultValue="editor"
        options={ROLES.map(role => ({ value: role, label: `${ROLE_WORDS[role]}: ${ROLE_HELP[role].toLowerCase()}` }))}
      />
      <Button type="submit" tone="primary" busy={busy} className="sm:mt-5">
        Add
      </Button>
    </form>
  )
}
