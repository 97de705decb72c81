import { useSyncExternalStore } from 'react'
import type { PeersState, PeersStore } from './peers'

/** One part of what the others do; the component draws again only when that part is another object. */
export function usePeers<T>(peers: PeersStore, part: (state: PeersState) => T): T {
  return useSyncExternalStore(peers.subscribe, () => part(peers.state))
}
