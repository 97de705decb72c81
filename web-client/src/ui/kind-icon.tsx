// The picture of a kind of component, in the colour of its group.

import type { KindId } from '../design/kinds'
import { DRAWINGS, UNKNOWN_DRAWING } from './kind-icons/drawings'

const BOUNDARY = 'text-kind-boundary'
const CLIENT = 'text-kind-client'
const NETWORK = 'text-kind-network'
const COMPUTE = 'text-kind-compute'
const DATA = 'text-kind-data'
const OPS = 'text-kind-ops'

const COLOURS: Readonly<Record<KindId, string>> = {
  'vpc-vnet': BOUNDARY,
  subnet: BOUNDARY,
  'network-segmentation': BOUNDARY,
  'web-browser': CLIENT,
  'mobile-app': CLIENT,
  'edge-dns': NETWORK,
  'edge-cdn': NETWORK,
  waf: NETWORK,
  firewall: NETWORK,
  'ids-ips': NETWORK,
  'load-balancer-global': NETWORK,
  'load-balancer-internal': NETWORK,
  'sd-wan': NETWORK,
  'web-server': COMPUTE,
  'app-server': COMPUTE,
  'api-gateway': COMPUTE,
  microservice: COMPUTE,
  'kubernetes-cluster': COMPUTE,
  container: COMPUTE,
  database: DATA,
  cache: DATA,
  'message-queue': DATA,
  dam: DATA,
  'object-storage': DATA,
  'bastion-host': OPS,
  'secrets-manager': OPS,
  identity: OPS,
  monitoring: OPS
}

interface KindIconProps {
  /** `data.type` of a node; anything that the palette does not have gets a question mark. */
  kind: string
  /** Pixels. Drawn for 18 and more. */
  size: number
  className?: string
}

/** Decoration only: whoever shows it says the kind in words too. */
export function KindIcon({ kind, size, className = '' }: KindIconProps) {
  const known = isKnown(kind)
  const { tint, lines } = known ? DRAWINGS[kind] : UNKNOWN_DRAWING
  return (
    <svg
      aria-hidden="true"
      focusable="false"
      viewBox="0 0 24 24"
      width={size}
      height={size}
      fill="none"
      stroke="currentColor"
      strokeWidth={1.6}
      strokeLinecap="round"
      strokeLinejoin="round"
      className={`shrink-0 ${known ? COLOURS[kind] : 'text-muted'} ${className}`}
    >
      <path d={tint} fill="currentColor" fillOpacity={0.16} stroke="none" />
      <path d={lines} />
    </svg>
  )
}

// Own keys only: a kind called 'constructor' is as unknown as any other.
const isKnown = (kind: string): kind is KindId => Object.hasOwn(DRAWINGS, kind)
