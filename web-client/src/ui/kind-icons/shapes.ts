// Path data of the few shapes of which the icons are made.

export const circle = (x: number, y: number, radius: number): string =>
  `M${x - radius} ${y}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0`

export const box = (x: number, y: number, width: number, height: number, corner: number): string => {
  const turn = (dx: number, dy: number) => `a${corner} ${corner} 0 0 1 ${dx} ${dy}`
  const [across, down] = [width - 2 * corner, height - 2 * corner]
  return [
    `M${x + corner} ${y}h${across}${turn(corner, corner)}v${down}${turn(-corner, corner)}`,
    `h${-across}${turn(-corner, -corner)}v${-down}${turn(corner, -corner)}z`
  ].join('')
}

/** A line of no length: its round caps make a dot of the stroke's width. */
export const dot = (x: number, y: number): string => `M${x} ${y}h.01`

/** A globe: its rim, its equator and one meridian. */
export const globe = (x: number, y: number, radius: number): string => {
  const meridian = radius * 0.45
  return [
    circle(x, y, radius),
    `M${x - radius} ${y}h${2 * radius}`,
    `M${x} ${y - radius}a${meridian} ${radius} 0 0 0 0 ${2 * radius}a${meridian} ${radius} 0 0 0 0 ${-2 * radius}`
  ].join('')
}

/** The side of a cylinder and its lid. */
export const cylinder = (x: number, y: number, radius: number, lid: number, height: number): string =>
  [
    `M${x - radius} ${y}a${radius} ${lid} 0 1 0 ${2 * radius} 0a${radius} ${lid} 0 1 0 ${-2 * radius} 0`,
    `v${height}a${radius} ${lid} 0 0 0 ${2 * radius} 0v${-height}`
  ].join('')

/** Spokes of a wheel, evenly around its centre, the first one upwards. */
export const spokes = (x: number, y: number, from: number, to: number, count: number): string => {
  const parts: string[] = []
  for (let each = 0; each < count; each++) {
    const angle = (each / count) * 2 * Math.PI - Math.PI / 2
    const at = (radius: number) => `${round(x + radius * Math.cos(angle))} ${round(y + radius * Math.sin(angle))}`
    parts.push(`M${at(from)}L${at(to)}`)
  }
  return parts.join('')
}

/** A regular polygon that stands on a corner. */
export const polygon = (x: number, y: number, radius: number, corners: number): string => {
  const points: string[] = []
  for (let each = 0; each < corners; each++) {
    const angle = (each / corners) * 2 * Math.PI - Math.PI / 2
    points.push(`${round(x + radius * Math.cos(angle))} ${round(y + radius * Math.sin(angle))}`)
  }
  return `M${points.join('L')}z`
}

const round = (value: number): number => Math.round(value * 100) / 100
