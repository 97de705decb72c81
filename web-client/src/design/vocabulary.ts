// Values that the inspector offers. People and files write others too: those are kept and shown as they are.

export const ZONES = ['external', 'dmz', 'internal', 'data', 'management'] as const

/** Protocols with their usual ports. */
export const PROTOCOLS: readonly { readonly name: string; readonly port: number }[] = [
  { name: 'HTTPS', port: 443 },
  { name: 'HTTP', port: 80 },
  { name: 'gRPC', port: 443 },
  { name: 'PostgreSQL', port: 5432 },
  { name: 'MySQL', port: 3306 },
  { name: 'Redis', port: 6379 },
  { name: 'MongoDB', port: 27017 },
  { name: 'SSH', port: 22 },
  { name: 'RDP', port: 3389 },
  { name: 'SMTP', port: 587 },
  { name: 'SMTPS', port: 465 },
  { name: 'DNS', port: 53 },
  { name: 'LDAPS', port: 636 },
  { name: 'Kafka', port: 9092 },
  { name: 'Elasticsearch', port: 9200 }
]

export const ENCRYPTIONS = ['None', 'TLS 1.2', 'TLS 1.3', 'mTLS', 'IPsec'] as const

/** Flags with which the inspector begins; a flag is yes, no, or not said. */
export const NODE_FLAGS = [
  'encryptionAtRest',
  'directInternetAccess',
  'mfaRequired',
  'rbacEnabled',
  'loggingEnabled',
  'backupEnabled',
  'vulnerabilityScanning'
] as const
export const EDGE_FLAGS = [
  'encrypted',
  'authenticated',
  'authorizationEnabled',
  'rateLimited',
  'inputValidation'
] as const

/** Words that are written in capitals wherever they stand. */
const ACRONYMS = new Set(['api', 'ddos', 'dns', 'iam', 'id', 'ip', 'jwt', 'kms', 'mfa', 'mtls', 'rbac', 'sso', 'tls', 'vpn', 'waf'])

/** 'directInternetAccess' -> 'Direct internet access', 'mfaRequired' -> 'MFA required'. */
export function flagTitle(flag: string): string {
  const words = flag
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .split(/[\s_-]+/)
    .filter(word => word !== '')
    .map(word => word.toLowerCase())
    .map(word => (ACRONYMS.has(word) ? (word === 'mtls' ? 'mTLS' : word.toUpperCase()) : word))
  const title = words.join(' ')
  return title.charAt(0).toUpperCase() + title.slice(1)
}

/** How safe the traffic of an edge is said to be: for its colour only, never a judgement of the analysis. */
export function encryptionLook(encryption: unknown): 'encrypted' | 'plain' | 'unknown' {
  if (typeof encryption !== 'string' || encryption.trim() === '') return 'unknown'
  return /^(none|no|plain|plaintext|unencrypted|cleartext)\b/i.test(encryption.trim()) ? 'plain' : 'encrypted'
}
