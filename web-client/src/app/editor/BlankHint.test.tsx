// @vitest-environment happy-dom
import { act, cleanup, render, screen } from '@testing-library/react'
import { afterEach, expect, it } from 'vitest'
import { fakeEditor, node, viewOf } from '../../canvas/testing/fake-editor'
import { Commands } from '../../commands/context'
import { fakeContext } from '../../commands/testing/fake-context'
import { BlankHint } from './BlankHint'

afterEach(cleanup)

it('says what to do first, where somebody may do it, until something stands there', () => {
  const { context, ui } = fakeContext()
  const editor = fakeEditor(viewOf([]))
  render(
    <Commands {...context}>
      <BlankHint editor={editor} />
    </Commands>
  )
  const hint = () => screen.queryByTestId('blank-hint')
  expect(hint()?.textContent).toMatch(/^Drag a component from the left .* press (Ctrl|⌘)K for everything/)
  expect(hint()?.classList).toContain('pointer-events-none')
  act(() => ui.set({ palette: false }))
  expect(hint()?.textContent).toMatch(/^Press (Ctrl|⌘)K for everything/)

  act(() => editor.set({ canEdit: false }))
  expect(hint()).toBeNull()
  act(() => editor.set({ canEdit: true }))
  expect(hint()).not.toBeNull()
  act(() => editor.set({ view: viewOf([node('web', 0, 0)]) }))
  expect(hint()).toBeNull()
})
