// The analysis of the open design as this page knows it. The server says when there is something new; what it is, is always fetched. One request is under
// way at a time, and however often the server speaks meanwhile, one more follows: the newest answer is the last one. Without the server the last answer stays.

import type { Analysis, Finding, ScorePoint } from '../sync/analysis'
import type { AnalysisApi, Judgement } from '../sync/analysis-api'
import { Observable } from '../sync/observable'
import type { DesignSession } from '../sync/types'

export interface AnalysisState {
  /** `none`: nobody has looked at the design yet. */
  readonly kind: 'loading' | 'none' | 'ready'
  readonly analysis: Analysis | null
  /** Oldest first. */
  readonly scores: readonly ScorePoint[]
  /** The server is looking at the design. */
  readonly isWorking: boolean
  /** Why the last question was not answered, or null. What is shown may be old until it is. */
  readonly trouble: string | null
  /** When the server last said that this is the newest, in milliseconds since 1970. */
  readonly checkedAt: number | null
}

const NOTHING: AnalysisState = {
  kind: 'loading',
  analysis: null,
  scores: [],
  isWorking: false,
  trouble: null,
  checkedAt: null
}

/** Milliseconds until an unanswered question is asked again, and the longest that grows to. */
const RETRY_MS = 5_000
const RETRY_MS_MAX = 60_000
/** An analysis that was begun and of which nothing more is heard: its server may be gone. */
const WORKING_MS_MAX = 30_000
/** Between two looks at a job that somebody asked for; the last one again and again. */
const JOB_LOOKS_MS = [150, 300, 600, 1_000, 2_000] as const
const JOB_MS_MAX = 60_000

type Session = Pick<DesignSession, 'design' | 'notices'>

export class AnalysisStore {
  readonly #session: Session
  readonly #api: AnalysisApi
  readonly #shown = new Observable<AnalysisState>(NOTHING)
  readonly #stops: (() => void)[] = []
  #etag: string | null = null
  /** The question under way, and whether another one must follow it. */
  #asking: Promise<void> | null = null
  #again = false
  #retryMs = RETRY_MS
  #retry: ReturnType<typeof setTimeout> | undefined
  #giveUp: ReturnType<typeof setTimeout> | undefined
  #hasEnded = false

  constructor(session: Session, api: AnalysisApi) {
    this.#session = session
    this.#api = api
  }

  get state(): AnalysisState {
    return this.#shown.state
  }

  readonly subscribe = (listener: () => void): (() => void) => this.#shown.subscribe(listener)

  start(): void {
    this.#hasEnded = false
    this.#stops.push(
      this.#session.notices.subscribe(({ type }) => {
        // What was said while there was no socket was not heard.
        if (type === 'hello') void this.refresh()
        if (type === 'analysis.started') this.#working(true)
        if (type === 'analysis.completed') {
          this.#working(false)
          void this.refresh()
        }
      })
    )
    void this.refresh()
  }

  stop(): void {
    this.#hasEnded = true
    for (const stop of this.#stops.splice(0)) stop()
    clearTimeout(this.#retry)
    clearTimeout(this.#giveUp)
  }

  /** Resolves when a question that was asked after this call has been answered, or not. */
  async refresh(): Promise<void> {
    clearTimeout(this.#retry)
    if (this.#asking !== null) {
      this.#again = true
      return this.#asking
    }
    this.#asking = this.#askUntilQuiet()
    try {
      await this.#asking
    } finally {
      this.#asking = null
    }
  }

  /** Throws what kept the server from doing it. */
  async judge(finding: Finding, judgement: Judgement): Promise<void> {
    await this.#api.judgeFinding(this.#session.design, finding.fingerprint, judgement)
    await this.refresh()
  }

  /** Looks at the design now. Throws what kept the server from doing it. */
  async analyse(): Promise<void> {
    this.#working(true)
    try {
      const job = await this.#api.analyseNow(this.#session.design)
      await this.#finished(job)
    } finally {
      this.#working(false)
    }
    await this.refresh()
  }

  async #finished(job: string): Promise<void> {
    const until = Date.now() + JOB_MS_MAX
    for (let look = 0; !this.#hasEnded && Date.now() < until; look += 1) {
      await new Promise(resolve => setTimeout(resolve, JOB_LOOKS_MS[Math.min(look, JOB_LOOKS_MS.length - 1)]))
      const { status, error } = await this.#api.analysisJob(job)
      if (status === 'completed') return
      if (status === 'failed') throw new Error(error || 'The server could not analyse this design.')
    }
  }

  async #askUntilQuiet(): Promise<void> {
    do {
      this.#again = false
      await this.#ask()
    } while (this.#again && !this.#hasEnded)
  }

  async #ask(): Promise<void> {
    const { design } = this.#session
    try {
      if (this.state.analysis === null && !(await this.#isThereAny())) return
      const latest = await this.#api.latestAnalysis(design, this.#etag)
      if (this.#hasEnded) return
      const known = { trouble: null, checkedAt: Date.now() }
      if (latest.kind === 'same') {
        this.#change(known)
      } else {
        const analysis = latest.kind === 'new' ? latest.analysis : null
        this.#etag = latest.kind === 'new' ? latest.etag : null
        this.#change({ ...known, analysis, kind: analysis === null ? 'none' : 'ready' })
        if (analysis !== null) await this.#askScores()
      }
      this.#retryMs = RETRY_MS
    } catch (error) {
      if (this.#hasEnded) return
      this.#change({ trouble: error instanceof Error ? error.message : String(error) })
      // With the socket back it is asked at once; this is for a server that answers there and not here.
      this.#retry = setTimeout(() => void this.refresh(), this.#retryMs)
      this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS_MAX)
    }
  }

  /** Asked first, since an analysis that is not there is an error, which browsers write into their console. */
  async #isThereAny(): Promise<boolean> {
    const scores = await this.#api.scores(this.#session.design)
    if (scores.length === 0) this.#change({ kind: 'none', trouble: null, checkedAt: Date.now() })
    return 0 < scores.length
  }

  /** The line of scores only adorns: without it everything else is as it was. */
  async #askScores(): Promise<void> {
    try {
      const scores = await this.#api.scores(this.#session.design)
      if (!this.#hasEnded) this.#change({ scores: scores.toReversed() })
    } catch {
      // The line of before stays until the next analysis.
    }
  }

  #working(isWorking: boolean): void {
    clearTimeout(this.#giveUp)
    this.#change({ isWorking })
    if (!isWorking) return
    this.#giveUp = setTimeout(() => {
      this.#change({ isWorking: false })
      void this.refresh()
    }, WORKING_MS_MAX)
  }

  #change(change: Partial<AnalysisState>): void {
    if (!this.#hasEnded) this.#shown.set({ ...this.state, ...change })
  }
}
