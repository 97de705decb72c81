// What the page asks of the server about analyses (docs/API.md, Analyses). Throws what the rest of the API throws.

import type { z } from '../design/zod'
import type { TriageState } from './analysis'
import { type Analysis, analysis, type JobStatus, jobStatus, queuedJob, type ScorePoint, scorePoints } from './analysis'
import { ApiProblem } from './problems'

export type LatestAnalysis =
  | { readonly kind: 'new'; readonly etag: string | null; readonly analysis: Analysis }
  /** What the ETag stands for is still the newest. */
  | { readonly kind: 'same' }
  /** Nobody has looked at the design yet. */
  | { readonly kind: 'none' }

export interface Judgement {
  readonly state: TriageState
  /** Needed for everything but `open`. */
  readonly reason?: string
  /** RFC 3339; for what is accepted only. */
  readonly expires_at?: string
}

export interface AnalysisApi {
  latestAnalysis(design: string, etag: string | null): Promise<LatestAnalysis>
  /** The newest first. */
  scores(design: string): Promise<ScorePoint[]>
  judgeFinding(design: string, fingerprint: string, judgement: Judgement): Promise<void>
  /** Returns the job. */
  analyseNow(design: string): Promise<string>
  analysisJob(job: string): Promise<JobStatus>
}

/** Points of the line of scores that are asked for. */
const SCORES = 30

export function analysisApi(send: (request: Request) => Promise<Response>): AnalysisApi {
  const ask = (path: string, init: RequestInit = {}) => send(new Request(`${location.origin}/api/v1${path}`, init))
  const withBody = (method: string, body: object): RequestInit => ({
    method,
    body: JSON.stringify(body),
    headers: { 'Content-Type': 'application/json' }
  })
  const of = (design: string) => `/designs/${encodeURIComponent(design)}`
  return {
    async latestAnalysis(design, etag) {
      try {
        const response = await ask(`${of(design)}/analyses/latest`, {
          // The ETag is kept here, not in the browser's cache, which other tabs and other people of this device share.
          cache: 'no-store',
          headers: etag === null ? {} : { 'If-None-Match': etag }
        })
        if (response.status === 304) return { kind: 'same' }
        return { kind: 'new', etag: response.headers.get('ETag'), analysis: await read(response, analysis) }
      } catch (error) {
        if (error instanceof ApiProblem && error.code === 'no_analysis_yet') return { kind: 'none' }
        throw error
      }
    },
    async scores(design) {
      return (await read(await ask(`${of(design)}/analyses?limit=${SCORES}`), scorePoints)).items
    },
    async judgeFinding(design, fingerprint, judgement) {
      await ask(`${of(design)}/findings/${encodeURIComponent(fingerprint)}`, withBody('PUT', judgement))
    },
    async analyseNow(design) {
      return (await read(await ask('/analysis/security', withBody('POST', { design_id: design })), queuedJob)).job_id
    },
    async analysisJob(job) {
      return read(await ask(`/analysis/${encodeURIComponent(job)}/status`), jobStatus)
    }
  }
}

async function read<T>(response: Response, shape: z.ZodType<T>): Promise<T> {
  const parsed = shape.safeParse(await response.json().catch(() => null))
  if (parsed.success) return parsed.data
  throw new ApiProblem(
    response.status,
    'unreadable',
    'The server answered in a way that this page does not understand.'
  )
}
