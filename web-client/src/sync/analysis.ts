// What the server says about the security of a design (docs/API.md, Analyses), read with care: an analysis of a newer server may say more than this
// page knows, and one finding that cannot be read takes no other with it.

import type { Fix, FixElement } from '../design/fix'
import { SEVERITIES } from '../design/severity'
import { z } from '../design/zod'

const severity = z.enum(SEVERITIES)
const count = z.number().int().min(0)
const ids = z.array(z.string())

const json: z.ZodType<import('../design/elements').Json> = z.lazy(() =>
  z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(json), z.record(z.string(), json)])
)
const element = z
  .record(z.string(), json)
  .refine(fields => typeof fields.id === 'string') as unknown as z.ZodType<FixElement>
const NO_PART = { upsert: [], remove: [] }
const part = z.object({ upsert: z.array(element).default([]), remove: ids.default([]) }).default(NO_PART)

const fix: z.ZodType<Fix> = z.object({
  title: z.string(),
  patch: z.object({ nodes: part, edges: part }),
  place: z.record(z.string(), z.object({ near: ids.default([]) })).default({}),
  labels: z.record(z.string(), z.string()).default({})
})

const triage = z.object({
  state: z.enum(['open', 'accepted', 'false_positive']),
  reason: z.string().nullish(),
  by: z.object({ id: z.string(), name: z.string().nullish() }).nullish(),
  at: z.string().nullish(),
  expires_at: z.string().nullish()
})

const OPEN: z.infer<typeof triage> = { state: 'open' }

/** What a rule saw: the value itself, and what that means. */
const evidence = z.object({
  element: z.string().nullish(),
  key: z.string().nullish(),
  value: json.nullish(),
  says: z.string().nullish()
})

const finding = z.object({
  rule_id: z.string(),
  fingerprint: z.string(),
  severity,
  confidence: z.number().min(0).max(1).catch(1),
  title: z.string(),
  why: z.string().catch(''),
  remediation: z.string().catch(''),
  stride: z.array(z.string()).catch([]),
  cwe: z.array(z.string()).catch([]),
  standards: z.array(z.object({ name: z.string(), url: z.string().nullish() })).catch([]),
  /** The primary one first. */
  elements: ids.catch([]),
  /** Node, edge, node … of an attack. */
  path: ids.nullish().catch(null),
  evidence: z.array(evidence).catch([]),
  points: z.number().catch(0),
  /** One that cannot be read is none: nobody may press it. */
  autofix: fix.nullish().catch(null),
  triage: triage.catch(OPEN).default(OPEN)
})

const readable = z.array(z.unknown()).transform(all =>
  all.flatMap(each => {
    const read = finding.safeParse(each)
    return read.success ? [read.data] : []
  })
)

const omitted = z.object({ rule_id: z.string(), severity, confidence: z.number().catch(1), count })

export const analysis = z.object({
  id: z.string(),
  security_score: z.number().min(0).max(10),
  grade: z.string(),
  severity: severity.nullish().catch(null),
  coverage: z.number().min(0).max(1).catch(0),
  ruleset_version: z.string().catch(''),
  seq: count.catch(0),
  /** The design has been changed since, and nobody has looked at it yet. */
  is_stale: z.boolean().catch(false),
  findings_count: count.catch(0),
  created_at: z.string(),
  /** The most expensive first. */
  explanation: z.array(z.object({ rule_id: z.string(), severity, count, points: z.number() })).catch([]),
  cap: z.object({ rule_id: z.string(), severity, limit: z.number() }).nullish().catch(null),
  issues: readable,
  omitted: z.array(omitted).catch([])
})

export type Analysis = z.infer<typeof analysis>
export type Finding = z.infer<typeof finding>
export type Triage = z.infer<typeof triage>
export type TriageState = Triage['state']

/** One point of the line of scores. */
const point = z.object({
  id: z.string(),
  security_score: z.number().min(0).max(10),
  grade: z.string().catch(''),
  /** When the design came to this analysis; the analysis itself may be older. */
  at: z.string().nullish(),
  created_at: z.string()
})

export type ScorePoint = z.infer<typeof point>

/** Newest first. */
export const scorePoints = z.object({ items: z.array(point) })

export const queuedJob = z.object({ job_id: z.string() })
export const jobStatus = z.object({
  status: z.enum(['queued', 'running', 'completed', 'failed']),
  error: z.string().nullish()
})
export type JobStatus = z.infer<typeof jobStatus>
export const triageAnswer = triage
