// Every combination of facts, and what the badge says of it.

import { describe, expect, it } from 'vitest'
import type { Final } from './endings'
import { type SavingFacts, savingState } from './saving-state'
import type { Role, SavingState } from './types'

const yesNo = [false, true]
const finals: (Final | null)[] = [
  null,
  { kind: 'signed-out' },
  { kind: 'removed', why: 'deleted' },
  { kind: 'broken', reason: 'bug' }
]
const roles: (Role | null)[] = [null, 'owner', 'editor', 'commenter', 'viewer']

function* everything(): Generator<SavingFacts> {
  for (const final of finals)
    for (const role of roles)
      for (const readOnly of [null, 'too large'])
        for (const [stored, writing] of [
          [0, 0],
          [2, 0],
          [0, 3],
          [2, 3]
        ] as const)
          for (let bits = 0; bits < 64; bits += 1) {
            const bit = (n: number): boolean => yesNo[(bits >> n) & 1] ?? false
            const flags = {
              ready: bit(0),
              isConnected: bit(1),
              isSettled: bit(2),
              isRebuilding: bit(3),
              isDegraded: bit(4),
              hasLocalTrouble: bit(5)
            }
            yield { final, role, readOnly, stored, writing, ...flags }
          }
}

/** The rules, one by one, as people would say them: the first that fits tells the kind. */
const rules: [SavingState['kind'], (facts: SavingFacts) => boolean][] = [
  ['signed-out', ({ final }) => final?.kind === 'signed-out'],
  ['removed', ({ final }) => final?.kind === 'removed'],
  ['broken', ({ final }) => final?.kind === 'broken'],
  ['loading', ({ ready }) => !ready],
  ['offline', ({ isConnected }) => !isConnected],
  ['read-only', f => !mayEdit(f) && isClean(f)],
  ['trouble', ({ isDegraded }) => isDegraded],
  ['saved', f => isClean(f) && f.isSettled],
  ['saving', () => true]
]
const mayEdit = ({ role, readOnly }: SavingFacts): boolean =>
  ['owner', 'editor'].includes(role ?? '') && readOnly === null
const isClean = ({ stored, writing, isRebuilding }: SavingFacts): boolean =>
  stored === 0 && writing === 0 && !isRebuilding

describe('the badge', () => {
  it('says one thing for each combination of facts, the one that the rules say', () => {
    const kinds = new Set<string>()
    for (const facts of everything()) {
      const state = savingState(facts)
      const expected = rules.find(([, fits]) => fits(facts))?.[0]
      expect({ facts, kind: state.kind }).toEqual({ facts, kind: expected })
      if ('unsaved' in state) expect(state.unsaved).toBe(facts.stored + (facts.hasLocalTrouble ? facts.writing : 0))
      kinds.add(state.kind)
    }
    expect(kinds.size).toBe(rules.length)
  })

  it('never says saved unless connected, settled, and with nothing open anywhere', () => {
    for (const facts of everything()) {
      if (savingState(facts).kind !== 'saved') continue
      expect(facts).toMatchObject({
        ready: true,
        final: null,
        isConnected: true,
        isSettled: true,
        isRebuilding: false,
        isDegraded: false,
        stored: 0,
        writing: 0,
        readOnly: null
      })
    }
  })

  it('says why one may only read', () => {
    const facts: SavingFacts = {
      ready: true,
      final: null,
      isConnected: true,
      isSettled: true,
      isRebuilding: false,
      isDegraded: false,
      role: 'commenter',
      readOnly: null,
      stored: 0,
      writing: 0,
      hasLocalTrouble: false
    }
    expect(savingState(facts)).toMatchObject({ kind: 'read-only', reason: expect.stringContaining('commenter') })
    expect(savingState({ ...facts, role: 'owner', readOnly: 'too many nodes' })).toEqual({
      kind: 'read-only',
      reason: 'too many nodes'
    })
  })
})
