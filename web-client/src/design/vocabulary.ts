// Values that the inspector offers. People and files write others too: those are kept and shown as they are.

import { type KindId, kindOf } from './kinds'

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

const PROTOCOL_WORDS: ReadonlySet<string> = new Set([
  ...PROTOCOLS.map(({ name }) => name.toLowerCase()),
  ...[
    'tcp',
    'udp',
    'ftp',
    'ftps',
    'sftp',
    'telnet',
    'ldap',
    'ws',
    'wss',
    'amqp',
    'amqps',
    'mqtt',
    'mqtts',
    'jdbc',
    'snmp',
    'vnc'
  ]
])

/** Whether a label only repeats the protocol, perhaps with a port: 'HTTP:8080', 'http'. `protocol` is what the edge says itself. */
export function isProtocolLabel(label: string, protocol: string): boolean {
  const name = label
    .trim()
    .toLowerCase()
    .replace(/\s*[:\s]\s*\d{1,5}$/, '')
  return name !== '' && (name === protocol.trim().toLowerCase() || PROTOCOL_WORDS.has(name))
}

export const ENCRYPTIONS = ['None', 'TLS 1.2', 'TLS 1.3', 'mTLS', 'IPsec'] as const

/** Flags with which the inspector begins; a flag is yes, no, or not said. The analysis reads all of them. */
export const NODE_FLAGS = [
  'encryptionAtRest',
  'directInternetAccess',
  'mfaRequired',
  'rbacEnabled',
  'loggingEnabled',
  'backupEnabled',
  'vulnerabilityScanning'
] as const

const SERVED = ['rateLimiting', 'hasWAF', 'authEnabled', 'highAvailability'] as const
const RUNS = ['authEnabled', 'highAvailability', 'egressFiltering'] as const
const IMAGES = ['imageSigning', 'egressFiltering', 'highAvailability'] as const

/** Further ones that the analysis reads of some kinds only. */
const KIND_FLAGS: Readonly<Partial<Record<KindId, readonly string[]>>> = {
  'edge-cdn': ['ddosProtection', 'hasWAF', 'rateLimiting'],
  'edge-dns': ['ddosProtection'],
  'load-balancer-global': ['ddosProtection', 'hasWAF', 'rateLimiting', 'highAvailability'],
  'load-balancer-internal': ['rateLimiting', 'highAvailability'],
  'api-gateway': SERVED,
  'web-server': SERVED,
  'app-server': RUNS,
  microservice: RUNS,
  'kubernetes-cluster': IMAGES,
  container: IMAGES,
  database: ['activityMonitoring', 'multiAZ', 'hasFirewall'],
  cache: ['authEnabled', 'multiAZ'],
  'message-queue': ['authEnabled', 'multiAZ'],
  'object-storage': ['signedUrls']
}

/** One thing under several names: where an element has one of the others, that is the one which is shown and changed. */
const SAME_FLAGS: readonly (readonly string[])[] = [
  ['encryptionAtRest', 'encryptedAtRest'],
  ['loggingEnabled', 'auditLoggingEnabled', 'auditLogging'],
  ['backupEnabled', 'hasBackup', 'backups'],
  ['directInternetAccess', 'publicAccess', 'publiclyAccessible', 'publicIp'],
  ['mfaRequired', 'mfa'],
  ['rateLimiting', 'rateLimited'],
  ['activityMonitoring', 'databaseActivityMonitoring'],
  ['vulnerabilityScanning', 'imageScanning'],
  ['imageSigning', 'binaryAuthorization'],
  ['highAvailability', 'multiAZ', 'autoScaling'],
  ['signedUrls', 'presignedUrls']
]

/** Flags with which the inspector begins for nodes of these kinds that have these flags already. */
export function usualNodeFlags(types: readonly unknown[], has: ReadonlySet<string>): string[] {
  const wanted = new Set<string>(NODE_FLAGS)
  for (const type of types) for (const flag of (isKindId(type) && KIND_FLAGS[type]) || []) wanted.add(flag)
  const shown: string[] = []
  for (const flag of wanted) {
    const names = SAME_FLAGS.find(each => each.includes(flag)) ?? [flag]
    // What two names mean alike is asked once, under the name that is in use; what is in use under both is shown twice.
    if (has.has(flag) || !names.some(name => has.has(name) || shown.includes(name))) shown.push(flag)
  }
  return shown
}

const isKindId = (type: unknown): type is KindId => kindOf(type) !== null

export const EDGE_FLAGS = [
  'encrypted',
  'authenticated',
  'authorizationEnabled',
  'rateLimited',
  'inputValidation'
] as const

/** Words that are written in capitals wherever they stand. */
const ACRONYMS = new Set([
  'api',
  'ddos',
  'dns',
  'iam',
  'id',
  'ip',
  'jwt',
  'kms',
  'mfa',
  'mtls',
  'rbac',
  'sso',
  'tls',
  'vpn',
  'waf'
])

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
