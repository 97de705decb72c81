// Makes a screenshot smaller without changing what one sees: at most 256 colours in a palette where that is exact enough, else the
// same pixels packed harder. Format: PNG, third edition (W3C), 8 bits, no interlace, which is what Chromium writes.

import assert from 'node:assert/strict'
import { crc32 as zlibCrc, deflateSync, inflateSync } from 'node:zlib'

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])

/** Bits of a channel that the palette tells apart: steps of 8 in 256, which flat drawings do not show. */
const KEPT_BITS = 5

export function smaller (png) {
  const { width, height, pixels } = decode(png)
  const packed = encode(width, height, pixels)
  return packed.length < png.length ? packed : png
}

function * chunks (png) {
  assert.ok(png.subarray(0, 8).equals(SIGNATURE), 'a PNG')
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at)
    yield { type: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) }
    at += 12 + length
  }
}

/** RGB pixels, three bytes each. */
function decode (png) {
  const all = [...chunks(png)]
  const header = all.find(({ type }) => type === 'IHDR').data
  const [width, height, depth, colours, interlace] = [header.readUInt32BE(0), header.readUInt32BE(4), header[8], header[9], header[12]]
  assert.ok(depth === 8 && (colours === 2 || colours === 6) && interlace === 0, 'a screenshot as Chromium writes them')
  const channels = colours === 2 ? 3 : 4
  const raw = inflateSync(Buffer.concat(all.filter(({ type }) => type === 'IDAT').map(({ data }) => data)))
  const row = width * channels
  const lines = Buffer.alloc(row * height)
  for (let y = 0; y < height; y += 1) unfilter(raw, y, row, channels, lines)
  const pixels = Buffer.alloc(width * height * 3)
  for (let n = 0; n < width * height; n += 1) lines.copy(pixels, n * 3, n * channels, n * channels + 3)
  return { width, height, pixels }
}

function unfilter (raw, y, row, channels, lines) {
  const filter = raw[y * (row + 1)]
  for (let x = 0; x < row; x += 1) {
    const left = x < channels ? 0 : lines[y * row + x - channels]
    const up = y === 0 ? 0 : lines[(y - 1) * row + x]
    const corner = x < channels || y === 0 ? 0 : lines[(y - 1) * row + x - channels]
    const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter]
    lines[y * row + x] = (raw[y * (row + 1) + 1 + x] + guess) & 0xff
  }
}

function paeth (left, up, corner) {
  const sum = left + up - corner
  const [a, b, c] = [Math.abs(sum - left), Math.abs(sum - up), Math.abs(sum - corner)]
  if (a <= b && a <= c) return left
  return b <= c ? up : corner
}

/** The most frequent colours; each other one becomes the nearest of them. */
function paletteOf (pixels) {
  const counts = new Map()
  for (let at = 0; at < pixels.length; at += 3) {
    const colour = (pixels[at] << 16) | (pixels[at + 1] << 8) | pixels[at + 2]
    counts.set(colour, (counts.get(colour) ?? 0) + 1)
  }
  const byCount = [...counts].sort(([, a], [, b]) => b - a)
  // A palette entry for each coarse cell, so that rare hues (an icon) are not all replaced by shades of the background.
  const palette = byCount.slice(0, 96).map(([colour]) => colour)
  const cells = new Set(palette.map(cellOf))
  for (const [colour] of byCount) {
    if (palette.length === 256) break
    if (cells.has(cellOf(colour))) continue
    cells.add(cellOf(colour))
    palette.push(colour)
  }
  const nearest = new Map(palette.map((colour, n) => [colour, n]))
  for (const [colour] of byCount) if (!nearest.has(colour)) nearest.set(colour, nearestOf(palette, colour))
  return { palette, nearest }
}

const cellOf = (colour) => {
  const shift = 8 - KEPT_BITS
  return [(colour >> 16) >> shift, ((colour >> 8) & 0xff) >> shift, (colour & 0xff) >> shift].join()
}

function nearestOf (palette, colour) {
  let [best, least] = [0, Infinity]
  for (const [n, each] of palette.entries()) {
    const [r, g, b] = [(each >> 16) - (colour >> 16), ((each >> 8) & 0xff) - ((colour >> 8) & 0xff), (each & 0xff) - (colour & 0xff)]
    const distance = 2 * r * r + 4 * g * g + 3 * b * b
    if (distance < least) [best, least] = [n, distance]
  }
  return best
}

function encode (width, height, pixels) {
  const { palette, nearest } = paletteOf(pixels)
  const lines = Buffer.alloc((width + 1) * height)
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = (y * width + x) * 3
      lines[y * (width + 1) + 1 + x] = nearest.get((pixels[at] << 16) | (pixels[at + 1] << 8) | pixels[at + 2])
    }
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 3, 0, 0, 0], 8)
  const colours = Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 0xff, colour & 0xff]))
  const packed = deflateSync(lines, { level: 9, memLevel: 9 })
  const end = Buffer.alloc(0)
  return Buffer.concat([SIGNATURE, chunk('IHDR', header), chunk('PLTE', colours), chunk('IDAT', packed), chunk('IEND', end)])
}

function chunk (type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const whole = Buffer.alloc(data.length + 12)
  whole.writeUInt32BE(data.length, 0)
  body.copy(whole, 4)
  whole.writeUInt32BE(zlibCrc(body), data.length + 8)
  return whole
}
