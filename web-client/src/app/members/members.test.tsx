// @vitest-environment happy-dom
import { cleanup, render, screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Api, Member } from '../../sync/api'
import { ApiProblem } from '../../sync/problems'
import { ADA, fakeApi, member, With } from '../testing/fakes'
import { MembersDialog } from './MembersDialog'
import { memberRights } from './rules'

afterEach(cleanup)

describe('who may change members', () => {
  const bob = member('u-bob', 'editor')

  it('an owner may, but the last owner stays', () => {
    const ada = member(ADA.id, 'owner')
    const rights = memberRights([ada, bob], ADA)
    expect(rights.manage).toBe(true)
    expect(rights.of(ada)).toMatchObject({
      changeRole: false,
      remove: false,
      why: expect.stringContaining('last owner')
    })
    expect(rights.of(bob)).toEqual({ changeRole: true, remove: true, why: null })
  })

  it('one of two owners may go', () => {
    const ada = member(ADA.id, 'owner')
    expect(memberRights([ada, member('u-bob', 'owner')], ADA).of(ada).remove).toBe(true)
  })

  it('everybody else sees the list and may leave', () => {
    const own = member(ADA.id, 'editor')
    const rights = memberRights([own, member('u-bob', 'owner')], ADA)
    expect(rights.manage).toBe(false)
    expect(rights.of(own)).toEqual({ changeRole: false, remove: true, why: null })
    expect(rights.of(member('u-eve', 'viewer'))).toEqual({ changeRole: false, remove: false, why: null })
  })

  it('an admin may, without being a member', () => {
    expect(memberRights([bob], { ...ADA, role: 'admin' }).manage).toBe(true)
  })

  it('a platform viewer may not, whatever their role on the design', () => {
    expect(memberRights([member(ADA.id, 'owner')], { ...ADA, role: 'viewer' }).manage).toBe(false)
  })
})

describe('the dialog', () => {
  function open(members: Member[], some: Partial<Api> = {}) {
    const left = vi.fn()
    const api = fakeApi({ members: async () => [...members], ...some })
    render(
      <With services={{ api }}>
        <MembersDialog design="d1" name="Shop" person={ADA} onClose={() => {}} onLeft={left} />
      </With>
    )
    return { left }
  }

  it('adds somebody by email with a role', async () => {
    const members = [member(ADA.id, 'owner')]
    const setMember = vi.fn(async () => {
      const added = member('u-bob', 'viewer')
      members.push(added)
      return added
    })
    open(members, { setMember })
    await userEvent.type(await screen.findByLabelText('Email of a person to add'), 'bob@example.org')
    await userEvent.selectOptions(screen.getByLabelText('Role'), 'viewer')
    await userEvent.click(screen.getByRole('button', { name: 'Add' }))
    expect(setMember).toHaveBeenCalledWith('d1', 'bob@example.org', 'viewer')
    expect(await screen.findAllByTestId('member-row')).toHaveLength(2)
  })

  it('tells in words why somebody could not be added, and keeps what was typed', async () => {
    const setMember = () =>
      Promise.reject(new ApiProblem(404, 'no_such_user', 'Nobody has an account with this email.'))
    open([member(ADA.id, 'owner')], { setMember })
    const field = await screen.findByLabelText('Email of a person to add')
    await userEvent.type(field, 'nobody@example.org')
    await userEvent.click(screen.getByRole('button', { name: 'Add' }))
    expect((await screen.findByRole('alert')).textContent).toBe('Nobody has an account with this email.')
    expect(field).toHaveProperty('value', 'nobody@example.org')
  })

  it('offers others nothing but to leave, and asks first', async () => {
    const removeMember = vi.fn(async () => {})
    const { left } = open([member('u-bob', 'owner'), member(ADA.id, 'editor')], { removeMember })
    await screen.findAllByTestId('member-row')
    expect(screen.queryByLabelText('Email of a person to add')).toBeNull()
    expect(screen.queryByRole('combobox')).toBeNull()
    await userEvent.click(screen.getByRole('button', { name: 'Leave this design' }))
    expect(removeMember).not.toHaveBeenCalled()
    const question = screen.getByRole('dialog', { name: 'Leave “Shop”?' })
    await userEvent.click(within(question).getByRole('button', { name: 'Leave' }))
    expect(removeMember).toHaveBeenCalledWith('d1', ADA.id)
    expect(left).toHaveBeenCalledOnce()
  })
})
