// The list of findings: which of them are shown, and in which order. Pure.

import type { DesignView } from '../design/elements'
import { edgeTitle, nodeTitle } from '../design/elements'
import { type Severity, severityRank } from '../design/severity'
import type { Finding } from '../sync/analysis'

export const SORTS = ['severity', 'points', 'rule'] as const
export type Sort = (typeof SORTS)[number]

/** `settled`: accepted, or no finding at all by somebody's judgement. */
export const SHOWN_STATES = ['open', 'settled', 'all'] as const
export type ShownState = (typeof SHOWN_STATES)[number]

export interface Filter {
  /** Empty: all of them. */
  readonly severities: readonly Severity[]
  readonly state: ShownState
  readonly sort: Sort
  readonly query: string
  /** Only what is about this element. */
  readonly element: string | null
}

export const ALL_OPEN: Filter = { severities: [], state: 'open', sort: 'severity', query: '', element: null }

/** It counts. Accepted ones count again when their time is over, which the server says. */
export const isOpen = ({ triage }: Finding): boolean => triage.state === 'open'

export function findingsFor(all: readonly Finding[], filter: Filter, view: DesignView): Finding[] {
  const words = wordsOf(filter.query)
  return all
    .filter(finding => hasState(finding, filter.state))
    .filter(({ severity }) => filter.severities.length === 0 || filter.severities.includes(severity))
    .filter(({ elements }) => filter.element === null || elements.includes(filter.element))
    .filter(finding => words.length === 0 || said(finding, view, words))
    .sort(ORDERS[filter.sort])
}

const hasState = (finding: Finding, state: ShownState): boolean =>
  state === 'all' || isOpen(finding) === (state === 'open')

const wordsOf = (query: string): string[] =>
  query
    .toLowerCase()
    .split(/\s+/)
    .filter(word => word !== '')

/** Every word stands somewhere in it. */
function said(finding: Finding, view: DesignView, words: readonly string[]): boolean {
  const { rule_id, title, why, remediation, cwe, standards, elements } = finding
  const names = elements.map(id => elementName(id, view))
  const text = [rule_id, title, why, remediation, ...cwe, ...standards.map(({ name }) => name), ...elements, ...names]
    .join('\n')
    .toLowerCase()
  return words.every(word => text.includes(word))
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
const bySeverity = (a: Finding, b: Finding): number => severityRank(a.severity) - severityRank(b.severity)
const byPoints = (a: Finding, b: Finding): number => b.points - a.points
const byRule = (a: Finding, b: Finding): number => byText(a.rule_id, b.rule_id)
/** So that the same findings stand in the same order on every screen. */
const byPrint = (a: Finding, b: Finding): number => byText(a.fingerprint, b.fingerprint)

const ORDERS: Readonly<Record<Sort, (a: Finding, b: Finding) => number>> = {
  severity: (a, b) => bySeverity(a, b) || byPoints(a, b) || byRule(a, b) || byPrint(a, b),
  points: (a, b) => byPoints(a, b) || bySeverity(a, b) || byRule(a, b) || byPrint(a, b),
  rule: (a, b) => byRule(a, b) || byPoints(a, b) || byPrint(a, b)
}

/** What people call it; an edge by what it joins. */
export function elementName(id: string, view: DesignView): string {
  const node = view.nodes.get(id)
  if (node !== undefined) return nodeTitle(node)
  const edge = view.edges.get(id)
  if (edge === undefined) return id
  const end = (of: string) => {
    const found = view.nodes.get(of)
    return found === undefined ? of : nodeTitle(found)
  }
  const title = edgeTitle(edge)
  return `${end(edge.source)} → ${end(edge.target)}${title === 'Connection' ? '' : ` (${title})`}`
}

/** How many findings of each severity count. */
export function openCounts(all: readonly Finding[]): ReadonlyMap<Severity, number> {
  const counts = new Map<Severity, number>()
  for (const finding of all) {
    if (isOpen(finding)) counts.set(finding.severity, (counts.get(finding.severity) ?? 0) + 1)
  }
  return counts
}
