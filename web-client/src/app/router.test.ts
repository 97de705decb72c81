import { describe, expect, it } from 'vitest'
import { matchRoute, safeNext, signInPath } from './router'

const ID = '0190c0de-0000-7000-8000-000000000001'
const at = (path: string) => matchRoute(new URL(path, 'http://atlas.example'))

describe('an address', () => {
  it('leads to its page', () => {
    expect(at('/')).toEqual({ page: 'designs' })
    expect(at(`/d/${ID}`)).toEqual({ page: 'design', design: ID })
    expect(at(`/d/${ID.toUpperCase()}/`)).toEqual({ page: 'design', design: ID })
    expect(at(`/signin?next=%2Fd%2F${ID}`)).toEqual({ page: 'signin', next: `/d/${ID}` })
  })

  it.each(['/d', '/d/shop', `/d/${ID}/more`, '/designs', '/signin/more'])('%s leads nowhere, and says so', path => {
    expect(at(path)).toEqual({ page: 'not-found' })
  })
})

describe('where one goes after signing in', () => {
  it('is where one wanted to go', () => {
    expect(at(signInPath(`/d/${ID}`))).toEqual({ page: 'signin', next: `/d/${ID}` })
    expect(signInPath('/')).toBe('/signin')
  })

  it.each(['//evil.example', 'https://evil.example/d', '/\\evil.example', 'javascript:alert(1)', '/signin', '', null])(
    'is never %s',
    next => {
      expect(safeNext(next)).toBe('/')
    }
  )
})
