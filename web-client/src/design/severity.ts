// How grave a finding is. The same five words everywhere, worst first.

export const SEVERITIES = ['critical', 'high', 'medium', 'low', 'info'] as const
export type Severity = (typeof SEVERITIES)[number]

/** 0 is the worst. */
export const severityRank = (severity: Severity): number => SEVERITIES.indexOf(severity)

export const worse = (a: Severity, b: Severity): Severity => (severityRank(a) <= severityRank(b) ? a : b)

export const SEVERITY_WORDS: Readonly<Record<Severity, string>> = {
  critical: 'Critical',
  high: 'High',
  medium: 'Medium',
  low: 'Low',
  info: 'Info'
}
