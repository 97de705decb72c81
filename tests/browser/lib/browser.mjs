// One browser process with a profile of its own.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { chromium } from 'playwright-core'

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** CHROMIUM, or where Debian and others put it. */
export function executable () {
  const found = [process.env.CHROMIUM, ...PLACES].find((place) => place !== undefined && place !== '' && existsSync(place))
  assert.ok(found !== undefined, 'no Chromium: run scripts/tools, or name one with CHROMIUM')
  return found
}

export const WINDOW = { width: 1440, height: 900 }

export class Browser {
  /** `sinkPort`: a port to which everything goes that is not for this machine. */
  static async start (sinkPort, options = {}) {
    const profile = await mkdtemp(path.join(tmpdir(), 'atlas-profile-'))
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: executable(),
      headless: true,
      // Chromium's sandbox cannot be used by root.
      chromiumSandbox: process.getuid?.() !== 0,
      viewport: WINDOW,
      acceptDownloads: true,
      args: [
        `--proxy-server=http://127.0.0.1:${sinkPort}`,
        // Two windows on one machine: neither may be slowed down for being behind the other.
        '--disable-renderer-backgrounding',
        '--disable-background-timer-throttling',
        '--disable-backgrounding-occluded-windows'
      ],
      ...options
    })
    context.setDefaultTimeout(15_000)
    return new Browser(profile, context)
  }

  constructor (profile, context) {
    this.profile = profile
    this.context = context
  }

  async stop () {
    await this.context.close()
    await rm(this.profile, { recursive: true, force: true, maxRetries: 5 })
  }
}
