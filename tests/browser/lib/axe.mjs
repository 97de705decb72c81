// axe-core on a page: nothing serious or critical.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const GRAVE = new Set(['serious', 'critical'])

/** Fails with every grave finding and its elements. Returns how many rules were passed. */
export async function assertAccessible (page, screen) {
  // Evaluated from outside, which the content security policy of the page permits.
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(source)
  const { violations, passes } = await page.evaluate(async () => {
    // Colours on their way from one theme to the other, or of a dialog that fades in, are nobody's.
    const ending = document.getAnimations().filter((each) => each.effect?.getTiming().iterations !== Infinity)
    await Promise.all(ending.map((each) => each.finished.catch(() => {})))
    const { violations, passes } = await globalThis.axe.run(document, { resultTypes: ['violations', 'passes'] })
    const found = violations.map(({ id, impact, help, nodes }) => ({
      id, impact, help, where: nodes.map(({ html, failureSummary }) => `${html.slice(0, 200)} ${failureSummary}`)
    }))
    return { violations: found, passes: passes.length }
  })
  const grave = violations.filter(({ impact }) => GRAVE.has(impact))
  assert.deepEqual(grave, [], `${screen}: what axe finds serious or critical`)
  return passes
}
