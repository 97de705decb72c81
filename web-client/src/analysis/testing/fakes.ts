// A server of analyses for tests: what it answers is set from outside, and what it was asked is remembered.

import { type Analysis, analysis, type Finding, type JobStatus, type ScorePoint } from '../../sync/analysis'
import type { AnalysisApi, Judgement, LatestAnalysis } from '../../sync/analysis-api'
import { Listeners } from '../../sync/listeners'
import type { Notice } from '../../sync/notices'

/** As the server sends it, with whatever the test is about. */
export const issue = (rule: string, some: Partial<Record<keyof Finding, unknown>> = {}) => ({
  rule_id: rule,
  fingerprint: `print-${rule}`,
  severity: 'high',
  confidence: 1,
  title: `Title of ${rule}`,
  why: `Why ${rule}`,
  remediation: `Mend ${rule}`,
  stride: ['I'],
  cwe: ['CWE-319'],
  standards: [],
  elements: [],
  evidence: [],
  points: 1,
  triage: { state: 'open' },
  ...some
})

export const answer = (issues: readonly unknown[], some: Record<string, unknown> = {}): Analysis =>
  analysis.parse({
    id: 'a1',
    design_id: 'design',
    security_score: 5,
    grade: 'F',
    severity: 'high',
    coverage: 0.7,
    ruleset_version: '1',
    seq: 3,
    is_stale: false,
    findings_count: issues.length,
    created_at: '2026-01-01T00:00:00Z',
    explanation: [],
    cap: null,
    issues,
    omitted: [],
    ai_recommendations: null,
    ...some
  })

export class FakeServer implements AnalysisApi {
  /** What is asked, in order. */
  readonly asked: unknown[][] = []
  /** Set to make questions wait until the test lets them go. */
  gate: Promise<void> | null = null
  latest: LatestAnalysis | Error = { kind: 'none' }
  /** Null: one for the analysis that there is. */
  points: ScorePoint[] | Error | null = null
  jobs: JobStatus[] = [{ status: 'completed' }]
  judging: Error | null = null
  readonly notices = new Listeners<Notice>()

  get session() {
    return { design: 'design', notices: this.notices }
  }

  says(found: Analysis, etag = `"${found.id}"`): void {
    this.latest = { kind: 'new', etag, analysis: found }
  }

  count(name: string): number {
    return this.asked.filter(([act]) => act === name).length
  }

  async latestAnalysis(design: string, etag: string | null): Promise<LatestAnalysis> {
    this.asked.push(['latest', design, etag])
    const { latest } = this
    await this.gate
    if (latest instanceof Error) throw latest
    return latest.kind === 'new' && latest.etag === etag ? { kind: 'same' } : latest
  }

  async scores(): Promise<ScorePoint[]> {
    this.asked.push(['scores'])
    const { points, latest } = this
    if (points instanceof Error) throw points
    if (latest instanceof Error) throw latest
    if (points !== null || latest.kind !== 'new') return points ?? []
    const { id, security_score, grade, created_at } = latest.analysis
    return [{ id, security_score, grade, created_at }]
  }

  async judgeFinding(design: string, fingerprint: string, judgement: Judgement): Promise<void> {
    this.asked.push(['judge', design, fingerprint, judgement])
    if (this.judging !== null) throw this.judging
  }

  async analyseNow(design: string): Promise<string> {
    this.asked.push(['analyse', design])
    return 'job'
  }

  async analysisJob(job: string): Promise<JobStatus> {
    this.asked.push(['job', job])
    return this.jobs.shift() ?? { status: 'completed' }
  }
}
