// Ids of new elements: random ones, since ids made from the clock collide between two people who click at the same moment.

import { nanoid } from 'nanoid'

/** 21 letters: 126 bits of randomness. */
export const newId = (): string => nanoid()
