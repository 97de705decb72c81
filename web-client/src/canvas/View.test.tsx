// @vitest-environment happy-dom

import { cleanup, render } from '@testing-library/react'
import { ReactFlowProvider } from '@xyflow/react'
import { afterEach, expect, it, vi } from 'vitest'
import { View } from './View'

afterEach(cleanup)

it('what moves the view is taken back when the canvas goes', () => {
  const detach = vi.fn()
  const attach = vi.fn(() => detach)
  const { unmount } = render(
    <ReactFlowProvider>
      <View attach={attach} fitFirst />
    </ReactFlowProvider>
  )
  expect([attach.mock.calls.length, detach.mock.calls.length]).toEqual([1, 0])
  unmount()
  expect(detach).toHaveBeenCalledOnce()
})
