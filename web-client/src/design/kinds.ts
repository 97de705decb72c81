// The palette: that of Koh Atlas, and what the fixes of findings add. Which components there are, how large they start, and what they are for.

export const KIND_IDS = [
  'vpc-vnet',
  'subnet',
  'network-segmentation',
  'web-browser',
  'mobile-app',
  'edge-dns',
  'edge-cdn',
  'waf',
  'firewall',
  'ids-ips',
  'load-balancer-global',
  'load-balancer-internal',
  'sd-wan',
  'web-server',
  'app-server',
  'api-gateway',
  'microservice',
  'kubernetes-cluster',
  'container',
  'database',
  'cache',
  'message-queue',
  'dam',
  'object-storage',
  'bastion-host',
  'secrets-manager',
  'identity',
  'monitoring'
] as const

/** The type under which the palette hands a kind to the canvas while it is dragged; the value is the `KindId`. */
export const KIND_MIME = 'application/x-atlas-kind'

export type KindId = (typeof KIND_IDS)[number]

export const KIND_GROUPS = ['Boundaries', 'Clients', 'Edge and network', 'Compute', 'Data', 'Operations'] as const
export type KindGroup = (typeof KIND_GROUPS)[number]

export interface Kind {
  readonly id: KindId
  readonly title: string
  readonly group: KindGroup
  /** Further words under which people look for it. */
  readonly words: readonly string[]
  /** Contains by geometry whatever stands inside its rectangle. */
  readonly container: boolean
  /** Canvas units. What the analysis assumes for nodes that say no size: 300 x 200 for containers, 150 x 80 for others. */
  readonly width: number
  readonly height: number
}

function kind(id: KindId, group: KindGroup, title: string, words: string, container = false): Kind {
  const [width, height] = container ? [300, 200] : [150, 80]
  return { id, title, group, words: words.split(' '), container, width, height }
}

export const KINDS: readonly Kind[] = [
  kind('vpc-vnet', 'Boundaries', 'VPC / VNet', 'network cloud virtual private', true),
  kind('subnet', 'Boundaries', 'Subnet', 'network private public range', true),
  kind('network-segmentation', 'Boundaries', 'Network segment', 'zone dmz segmentation vlan', true),
  kind('web-browser', 'Clients', 'Web browser', 'user client page spa pwa'),
  kind('mobile-app', 'Clients', 'Mobile app', 'phone ios android client'),
  kind('edge-dns', 'Edge and network', 'DNS', 'name route53 resolver edge'),
  kind('edge-cdn', 'Edge and network', 'CDN', 'cache content cloudfront cloudflare edge'),
  kind('waf', 'Edge and network', 'WAF', 'web application firewall'),
  kind('firewall', 'Edge and network', 'Firewall', 'network filter'),
  kind('ids-ips', 'Edge and network', 'IDS / IPS', 'intrusion detection prevention'),
  kind('load-balancer-global', 'Edge and network', 'Global load balancer', 'lb alb traffic'),
  kind('load-balancer-internal', 'Edge and network', 'Internal load balancer', 'lb nlb traffic'),
  kind('sd-wan', 'Edge and network', 'SD-WAN', 'branch network wan'),
  kind('web-server', 'Compute', 'Web server', 'nginx apache frontend'),
  kind('app-server', 'Compute', 'App server', 'application backend vm'),
  kind('api-gateway', 'Compute', 'API gateway', 'rest http entry'),
  kind('microservice', 'Compute', 'Microservice', 'service api'),
  kind('kubernetes-cluster', 'Compute', 'Kubernetes cluster', 'k8s eks gke aks pods'),
  kind('container', 'Compute', 'Container', 'docker image pod'),
  kind('database', 'Data', 'Database', 'db sql postgres mysql store'),
  kind('cache', 'Data', 'Cache', 'redis memcached'),
  kind('message-queue', 'Data', 'Message queue', 'kafka rabbitmq sqs broker topic'),
  kind('dam', 'Data', 'Database activity monitor', 'dam audit database'),
  kind('object-storage', 'Data', 'Object storage', 's3 bucket blob files store'),
  kind('bastion-host', 'Operations', 'Bastion host', 'jump ssh admin access'),
  kind('secrets-manager', 'Operations', 'Secrets manager', 'vault kms keys credentials passwords'),
  kind('identity', 'Operations', 'Identity provider', 'idp oidc sso login users directory'),
  kind('monitoring', 'Operations', 'Monitoring', 'siem logs logging metrics alerts observability')
]

const byId: ReadonlyMap<string, Kind> = new Map(KINDS.map(each => [each.id, each]))

/** The kind that `data.type` names, or null: files of other tools name many that the palette does not have. */
export function kindOf(type: unknown): Kind | null {
  return typeof type === 'string' ? (byId.get(type) ?? null) : null
}

/** Kinds that fit what was typed, in the palette's order: every word must begin a word of the title, the id or `words`. */
export function searchKinds(query: string): readonly Kind[] {
  const wanted = query
    .toLowerCase()
    .split(/\s+/)
    .filter(word => word !== '')
  return KINDS.filter(({ id, title, words }) => {
    const known = [...title.toLowerCase().split(/[\s/]+/), ...id.split('-'), ...words]
    return wanted.every(word => known.some(each => each.startsWith(word)))
  })
}
