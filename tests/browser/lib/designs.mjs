// The designs that the stories start from.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const file = (relative) => fileURLToPath(new URL(relative, import.meta.url))

/** A shop in three subnets: 20 nodes, 16 edges. */
export const SHOP = file('../../fixtures/designs/shop.json')

/** Five nodes and five edges, of which one leads nowhere. */
export const DANGLING = file('../../fixtures/designs/dangling.json')

/** A real design of the Koh Atlas page, where the folder with samples stands beside the repository; else null. */
export const KOH_GRID = [file('../../../../shared/data/kohatlas/kohGrid.json')].find((place) => existsSync(place)) ?? null
