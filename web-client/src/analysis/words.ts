// What is said about findings and scores in words.

import type { Analysis, Finding, ScorePoint } from '../sync/analysis'
import type { Tone } from '../ui/Badge'

export const scoreText = (score: number): string => score.toFixed(1)

/** 3.5 -> '3.5', 0.04 -> '<0.1'. */
export function pointsText(points: number): string {
  if (points <= 0) return '0'
  return points < 0.05 ? '<0.1' : points.toFixed(1)
}

export const percent = (share: number): string => `${Math.round(100 * share)} %`

export const counted = (n: number, one: string, many = `${one}s`): string =>
  `${n.toLocaleString('en')} ${n === 1 ? one : many}`

export function gradeTone(grade: string): Tone {
  const letter = grade.charAt(0).toUpperCase()
  if (letter === 'A' || letter === 'B') return 'ok'
  return letter === 'C' || letter === 'D' ? 'warn' : 'danger'
}

/** How sure a rule is, and why that may be. */
export function confidenceWords(confidence: number): { word: string; means: string } {
  if (0.9 <= confidence) return { word: 'Certain', means: 'The design says so itself.' }
  if (0.7 <= confidence) return { word: 'Likely', means: 'What the design says leaves little doubt.' }
  if (0.5 <= confidence)
    return { word: 'Possible', means: 'What the design says contradicts itself, or only hints at it.' }
  return { word: 'Unsure', means: 'The design does not say enough to know. Saying more settles it.' }
}

const STRIDE: Readonly<Record<string, string>> = {
  S: 'Spoofing',
  T: 'Tampering',
  R: 'Repudiation',
  I: 'Information disclosure',
  D: 'Denial of service',
  E: 'Elevation of privilege'
}

export const strideWord = (letter: string): string => STRIDE[letter] ?? letter

/** Only where a link leads somewhere on the web: an address comes from the server and is not trusted with more. */
export function safeLink(url: string | null | undefined): string | null {
  return url !== undefined && url !== null && /^https?:\/\//i.test(url) ? url : null
}

/** 'CWE-319' -> its page, else null. */
export function cweLink(cwe: string): string | null {
  const number = /^CWE-(\d{1,5})$/.exec(cwe)?.[1]
  return number === undefined ? null : `https://cwe.mitre.org/data/definitions/${number}.html`
}

/** 'just now', '5 minutes ago', or the time. `now` in milliseconds since 1970. */
export function since(time: string | number, now: number): string {
  const at = typeof time === 'number' ? time : Date.parse(time)
  if (Number.isNaN(at)) return 'at an unknown time'
  const minutes = Math.floor((now - at) / 60_000)
  if (minutes < 1) return 'just now'
  if (minutes < 60) return `${counted(minutes, 'minute')} ago`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${counted(hours, 'hour')} ago`
  return dayText(at)
}

export function dayText(time: string | number): string {
  const day = new Date(time)
  if (Number.isNaN(day.getTime())) return ''
  return day.toLocaleDateString(undefined, { year: 'numeric', month: 'short', day: 'numeric' })
}

/** How the score has moved since the point before, in words; null without one. Oldest first. */
export function trendWords(scores: readonly ScorePoint[]): { change: number; words: string } | null {
  const [before, now] = scores.slice(-2)
  if (before === undefined || now === undefined) return null
  const change = Math.round(10 * (now.security_score - before.security_score)) / 10
  if (change === 0) return { change, words: 'as before' }
  return { change, words: `${change > 0 ? 'up' : 'down'} ${Math.abs(change).toFixed(1)}` }
}

/** The title under which people know a rule: that of its first finding. */
export function ruleTitle(rule: string, issues: readonly Finding[]): string {
  return issues.find(each => each.rule_id === rule)?.title ?? rule
}

/** One sentence for screen readers and the tooltip of the score. */
export function scoreSentence({ security_score, grade }: Analysis, open: number): string {
  return `Security score ${scoreText(security_score)} of 10, grade ${grade}, ${open === 0 ? 'no open findings' : counted(open, 'open finding')}.`
}

/** A value that a rule saw, as text. */
export function seenValue(value: unknown): string {
  if (typeof value === 'string') return value === '' ? '(empty)' : value
  return JSON.stringify(value) ?? ''
}
