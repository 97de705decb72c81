import { readFile } from 'node:fs/promises'
import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript'
import { expect, it } from 'vitest'

it('api-types.d.ts is what the generator makes of openapi.json', async () => {
  const made = COMMENT_HEADER + astToString(await openapiTS(await readFile('openapi.json', 'utf8')))
  expect(await readFile('src/sync/api-types.d.ts', 'utf8'), 'run `npm run api`').toBe(made)
})
