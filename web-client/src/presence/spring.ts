// A critically damped spring: it reaches its aim as fast as it can without ever swinging past and back.

export interface Spring {
  value: number
  /** Per second. */
  velocity: number
}

/** How fast a cursor follows, per second: after 0.25 s about 4 % of the way are left. */
export const SPRING_RATE = 20
/** Flow units, and flow units per second, below which it rests. */
const REST = 0.05

/**
 * Moves the spring on by `seconds`, exactly, whatever the length of a frame: x(t) = aim + (d + (v + rate d) t) e^(-rate t).
 * Returns whether it rests now, which is then exactly at its aim.
 */
export function stepSpring(spring: Spring, aim: number, seconds: number, rate = SPRING_RATE): boolean {
  const distance = spring.value - aim
  const slope = spring.velocity + rate * distance
  const decay = Math.exp(-rate * seconds)
  spring.value = aim + (distance + slope * seconds) * decay
  spring.velocity = (slope - rate * (distance + slope * seconds)) * decay
  const rests = Math.abs(spring.value - aim) < REST && Math.abs(spring.velocity) < REST * rate
  if (rests) {
    spring.value = aim
    spring.velocity = 0
  }
  return rests
}
