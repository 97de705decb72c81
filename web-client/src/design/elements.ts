// A design as plain data: what the shared document says, read once, without Yjs.

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

export interface Point {
  readonly x: number
  readonly y: number
}

/** What is known of `data`; every other key is kept and shown as it is. */
export interface ElementData {
  readonly type?: Json
  readonly label?: Json
  readonly zone?: Json
  readonly protocol?: Json
  readonly port?: Json
  readonly encryption?: Json
  readonly securityFlags?: Json
  readonly [key: string]: Json | undefined
}

export interface DesignNode {
  readonly id: string
  readonly type: string
  /** Always finite: anything else in the document reads as the origin. */
  readonly position: Point
  readonly width?: number
  readonly height?: number
  /** Only if the parent is a node of the design and leads back to nobody. */
  readonly parentId?: string
  readonly zIndex?: number
  readonly data: ElementData
  /** Every other top-level key. */
  readonly rest: JsonObject
}

export interface DesignEdge {
  readonly id: string
  readonly source: string
  readonly target: string
  readonly sourceHandle?: string
  readonly targetHandle?: string
  readonly label?: string
  readonly type?: string
  readonly data: ElementData
  readonly rest: JsonObject
}

/** The whole drawing. Maps are sorted by id, as the server's view is. An element that did not change is the same object as before. */
export interface DesignView {
  readonly nodes: ReadonlyMap<string, DesignNode>
  readonly edges: ReadonlyMap<string, DesignEdge>
  /** Edges with an end that is no node: in the document, not drawn. Edge id -> missing node ids. */
  readonly hidden: ReadonlyMap<string, readonly string[]>
  readonly meta: JsonObject
}

export const EMPTY_VIEW: DesignView = { nodes: new Map(), edges: new Map(), hidden: new Map(), meta: {} }

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Text of a value that should be text, else ''. */
export function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : ''
}

export function flagsOf(data: ElementData): JsonObject {
  return isObject(data.securityFlags) ? data.securityFlags : {}
}

/** What a node is called on the canvas: its label, else its id. */
export function nodeTitle(node: DesignNode): string {
  return text(node.data.label) || node.id
}

export function edgeTitle(edge: DesignEdge): string {
  return edge.label || text(edge.data.protocol) || 'Connection'
}
