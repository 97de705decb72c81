// One drawing for each kind of component, on a grid of 24 by 24: a tinted area that gives it weight, and lines of one width over it.
// They are data, so that the canvas can draw a thousand of them for the price of two paths each.

import type { KindId } from '../../design/kinds'
import { box, circle, cylinder, dot, globe, polygon, spokes } from './shapes'

export interface Drawing {
  /** Path that is filled faintly. */
  readonly tint: string
  /** Paths that are stroked. */
  readonly lines: string
}

const cloud = 'M8.6 16.5a3.1 3.1 0 0 1-.4-6.2 4.1 4.1 0 0 1 7.8-.7 3.5 3.5 0 0 1-.3 6.9z'
const shield = 'M12 2.8l7.5 2.6v5.8c0 4.7-3.1 8.1-7.5 10-4.4-1.9-7.5-5.3-7.5-10V5.4z'
const rack = box(3, 3.5, 18, 7, 2)
const secondRack = 'M10.5 20.5H5a2 2 0 0 1-2-2v-3a2 2 0 0 1 2-2h6'
const store = cylinder(12, 5.8, 7.5, 2.8, 12.4)

export const DRAWINGS: Readonly<Record<KindId, Drawing>> = {
  // Boundaries: frames that hold something.
  'vpc-vnet': {
    tint: cloud,
    lines: `M3 7.5V5a2 2 0 0 1 2-2h2.5M16.5 3H19a2 2 0 0 1 2 2v2.5M21 16.5V19a2 2 0 0 1-2 2h-2.5M7.5 21H5a2 2 0 0 1-2-2v-2.5${cloud}`
  },
  subnet: {
    tint: box(3, 3, 18, 18, 2.5),
    lines: `${box(3, 3, 18, 18, 2.5)}M12 9.6v2.6M7.8 14.8v-.6a2 2 0 0 1 2-2h4.4a2 2 0 0 1 2 2v.6${circle(12, 8, 1.5)}${circle(7.8, 16.2, 1.5)}${circle(16.2, 16.2, 1.5)}`
  },
  'network-segmentation': {
    tint: 'M12.5 3H19a2 2 0 0 1 2 2v7.5h-8.5z',
    lines: `${box(3, 3, 18, 18, 2.5)}M12.5 3v18M12.5 12.5H21M3 12.5h4.5${dot(16.8, 7.8)}`
  },

  // Clients.
  'web-browser': {
    tint: 'M3 9.2V6a2 2 0 0 1 2-2h14a2 2 0 0 1 2 2v3.2z',
    lines: `${box(3, 4, 18, 16, 2.5)}M3 9.2h18${dot(6.4, 6.6)}${dot(9.4, 6.6)}M7 13.2h7M7 16.4h4`
  },
  'mobile-app': {
    tint: box(6.5, 2.5, 11, 19, 2.5),
    lines: `${box(6.5, 2.5, 11, 19, 2.5)}M10.5 5.4h3M10.8 18.4h2.4`
  },

  // Edge and network.
  'edge-dns': {
    tint: circle(10.2, 10.2, 7.4),
    lines: `${globe(10.2, 10.2, 7.4)}M15.6 15.6l5.4 5.4`
  },
  'edge-cdn': {
    tint: circle(12, 12, 4),
    lines: `${circle(12, 12, 4)}${circle(4.6, 4.6, 1.9)}${circle(19.4, 4.6, 1.9)}${circle(4.6, 19.4, 1.9)}${circle(19.4, 19.4, 1.9)}M6 6l3.1 3.1M18 6l-3.1 3.1M6 18l3.1-3.1M18 18l-3.1-3.1`
  },
  waf: {
    tint: shield,
    lines: `${shield}M9.8 8.8l-2.6 2.7 2.6 2.7M14.2 8.8l2.6 2.7-2.6 2.7`
  },
  firewall: {
    tint: box(3, 4, 18, 16, 1.5),
    lines: `${box(3, 4, 18, 16, 1.5)}M3 9.3h18M3 14.7h18M9 4v5.3M15 4v5.3M6.5 9.3v5.4M12 9.3v5.4M17.5 9.3v5.4M9 14.7V20M15 14.7V20`
  },
  'ids-ips': {
    tint: circle(12, 12, 3.2),
    lines: `M2.5 12C4.6 8 8 5.8 12 5.8s7.4 2.2 9.5 6.2c-2.1 4-5.5 6.2-9.5 6.2S4.6 16 2.5 12z${circle(12, 12, 3.2)}M12 2.2v1M4.8 4l.7.8M19.2 4l-.7.8`
  },
  'load-balancer-global': {
    tint: circle(12, 7.8, 5.3),
    lines: `${globe(12, 7.8, 5.3)}M12 13.1v5.6M12 15.6H6.8a2 2 0 0 0-2 2v1.1M12 15.6h5.2a2 2 0 0 1 2 2v1.1${dot(12, 20.9)}${dot(4.8, 20.9)}${dot(19.2, 20.9)}`
  },
  'load-balancer-internal': {
    tint: box(7.5, 3, 9, 6.5, 1.8),
    lines: `${box(7.5, 3, 9, 6.5, 1.8)}M12 9.5v7.1M12 12.6H6.8a2 2 0 0 0-2 2v2M12 12.6h5.2a2 2 0 0 1 2 2v2${circle(12, 18.9, 1.9)}${circle(4.8, 18.9, 1.9)}${circle(19.2, 18.9, 1.9)}`
  },
  'sd-wan': {
    tint: `${box(2.5, 9, 6, 6, 1.5)}${box(15.5, 9, 6, 6, 1.5)}`,
    lines: `${box(2.5, 9, 6, 6, 1.5)}${box(15.5, 9, 6, 6, 1.5)}M5.5 9c0-6.4 13-6.4 13 0M5.5 15c0 6.4 13 6.4 13 0M8.5 12h1.2M14.3 12h1.2${dot(12, 12)}`
  },

  // Compute.
  'web-server': {
    tint: rack,
    lines: `${rack}${secondRack}${dot(6.5, 7)}M10.5 7h7${dot(6.5, 17)}${globe(17, 17, 4.6)}`
  },
  'app-server': {
    tint: rack,
    lines: `${rack}${secondRack}${dot(6.5, 7)}M10.5 7h7${dot(6.5, 17)}${circle(17, 17, 2.3)}${spokes(17, 17, 3.6, 4.7, 8)}`
  },
  'api-gateway': {
    tint: circle(12, 12, 4.6),
    lines: `M8 3.5H7A2.5 2.5 0 0 0 4.5 6v3.2A2.6 2.6 0 0 1 2.2 12a2.6 2.6 0 0 1 2.3 2.8V18A2.5 2.5 0 0 0 7 20.5h1M16 3.5h1A2.5 2.5 0 0 1 19.5 6v3.2a2.6 2.6 0 0 0 2.3 2.8 2.6 2.6 0 0 0-2.3 2.8V18a2.5 2.5 0 0 1-2.5 2.5h-1M8.2 12h7.2M13 9.4l2.6 2.6-2.6 2.6`
  },
  microservice: {
    tint: polygon(12, 12, 4.2, 6),
    lines: `${polygon(12, 12, 9.4, 6)}${polygon(12, 12, 4.2, 6)}`
  },
  'kubernetes-cluster': {
    tint: circle(12, 12, 6.4),
    lines: `${circle(12, 12, 6.4)}${spokes(12, 12, 0, 9.6, 7)}`
  },
  container: {
    tint: box(2.5, 6.5, 19, 12, 1.5),
    lines: `${box(2.5, 6.5, 19, 12, 1.5)}M6.5 10v5M10.2 10v5M13.8 10v5M17.5 10v5`
  },

  // Data.
  database: {
    tint: 'M4.5 5.8c0 3.7 15 3.7 15 0v6.2c0 3.7-15 3.7-15 0z',
    lines: `${store}M4.5 12c0 3.7 15 3.7 15 0`
  },
  cache: {
    tint: 'M4.5 5.8c0 3.7 15 3.7 15 0v3.2l-2.1 2.5-6.1 7.6V21c-4-.2-6.8-1.4-6.8-2.8z',
    lines: `M4.5 5.8a7.5 2.8 0 1 0 15 0a7.5 2.8 0 1 0-15 0v12.4c0 1.4 2.4 2.4 5.8 2.7M19.5 5.8v3.2M17.4 11.5l-4.4 5.4h5.4l-1.6 4.8 4.7-6.3h-4.8z`
  },
  'message-queue': {
    tint: `${box(3.5, 9, 4.6, 6, 1)}${box(9.7, 9, 4.6, 6, 1)}${box(15.9, 9, 4.6, 6, 1)}`,
    lines: `M2.5 5.5h19M2.5 18.5h19${box(3.5, 9, 4.6, 6, 1)}${box(9.7, 9, 4.6, 6, 1)}${box(15.9, 9, 4.6, 6, 1)}`
  },
  dam: {
    tint: 'M4.5 5.8c0 3.7 15 3.7 15 0v12.4c0 3.7-15 3.7-15 0z',
    lines: `${store}M4.5 14.2h3.7l1.8-3 2.7 6 2-4 .8 1h4`
  },
  'object-storage': {
    tint: 'M4.2 6.5h15.6l-1.8 13a1.8 1.8 0 0 1-1.8 1.5H7.8A1.8 1.8 0 0 1 6 19.5z',
    lines: `M3.5 5.8a8.5 2.6 0 1 0 17 0a8.5 2.6 0 1 0-17 0l2.4 13.4c.3 1 2.9 1.8 6.1 1.8s5.8-.8 6.1-1.8l2.4-13.4${circle(9.3, 14.2, 1.7)}${box(12.8, 12.5, 3.4, 3.4, 0.6)}`
  },

  // Operations.
  'bastion-host': {
    tint: 'M6 10.5h12V21H6z',
    lines: `M4 3.5v5l2 2V21h12V10.5l2-2v-5h-3.4v2.8h-2.9V3.5h-3.4v2.8H7.4V3.5zM6 10.5h12${circle(12, 14.2, 1.1)}M12 15.3v2.5`
  },
  'secrets-manager': {
    tint: box(3, 4, 18, 15, 2),
    lines: `${box(3, 4, 18, 15, 2)}M6.5 19v2M17.5 19v2${circle(12, 11.5, 3.8)}${spokes(12, 11.5, 3.8, 5.4, 4)}${dot(12, 11.5)}M18.2 9.5v4`
  },
  identity: {
    tint: box(3, 4.5, 18, 15, 2.2),
    lines: `${box(3, 4.5, 18, 15, 2.2)}${circle(8.8, 10.3, 2)}M5.6 16c.3-2 1.6-3 3.2-3s2.9 1 3.2 3M15 9.5h3M15 12.5h3M15 15.5h2`
  },
  monitoring: {
    tint: box(2.5, 4, 19, 13, 2),
    lines: `${box(2.5, 4, 19, 13, 2)}M8.5 20.5h7M12 17v3.5M5.5 11h3l1.8-3.2 2.7 6 1.9-4 .8 1.2h2.8`
  }
}

/** For kinds that only other tools know. */
export const UNKNOWN_DRAWING: Drawing = {
  tint: box(3, 3, 18, 18, 3),
  lines: `M3 8V6a3 3 0 0 1 3-3h2M16 3h2a3 3 0 0 1 3 3v2M21 16v2a3 3 0 0 1-3 3h-2M8 21H6a3 3 0 0 1-3-3v-2M9.3 9.4a2.7 2.7 0 1 1 4.2 2.3c-.9.6-1.5 1.1-1.5 2.1${dot(12, 16.7)}`
}
