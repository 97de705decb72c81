// The findings as marks on the canvas. Made anew only when the findings or the traced one are others; an element whose mark says the same keeps it.

import type { Mark, Marks } from '../canvas/marks'
import { worse } from '../design/severity'
import type { Finding } from '../sync/analysis'
import { isOpen } from './findings'
import type { Focus } from './focus'
import type { AnalysisStore } from './store'

const NO_FINDINGS: readonly Finding[] = []

export class FindingMarks implements Marks {
  readonly #store: AnalysisStore
  readonly #focus: Focus
  readonly #show: (element: string) => void
  #of: readonly Finding[] = NO_FINDINGS
  #marks: ReadonlyMap<string, Mark> = new Map()
  #traced: Finding | null = null
  #path: ReadonlyMap<string, number> = new Map()
  #target: string | null = null

  /** `show` brings what is said of an element into sight. */
  constructor(store: AnalysisStore, focus: Focus, show: (element: string) => void) {
    this.#store = store
    this.#focus = focus
    this.#show = show
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    const stops = [this.#store.subscribe(listener), this.#focus.subscribe(listener)]
    return () => {
      for (const stop of stops) stop()
    }
  }

  readonly of = (id: string): Mark | undefined => {
    this.#derive()
    return this.#marks.get(id)
  }

  readonly placeOnPath = (id: string): number | undefined => {
    this.#derive()
    return this.#path.get(id)
  }

  isTarget(id: string): boolean {
    this.#derive()
    return this.#target === id
  }

  get isTracing(): boolean {
    this.#derive()
    return 0 < this.#path.size
  }

  readonly open = (id: string): void => this.#show(id)

  #derive(): void {
    const issues = this.#store.state.analysis?.issues ?? NO_FINDINGS
    if (this.#of !== issues) {
      this.#of = issues
      this.#marks = marksOf(issues, this.#marks)
    }
    const { traced: wanted } = this.#focus.state
    const traced = wanted === null ? null : (issues.find(each => each.fingerprint === wanted) ?? null)
    if (this.#traced === traced) return
    this.#traced = traced
    const path = traced?.path ?? []
    this.#path = placesOf(path)
    this.#target = path.at(-1) ?? null
  }
}

/** Of findings that count. What only informs is told in the panel: a sign on every second element would be none on any. */
export function marksOf(findings: readonly Finding[], before: ReadonlyMap<string, Mark> = new Map()) {
  const marks = new Map<string, Mark>()
  for (const finding of findings) {
    if (!isOpen(finding) || finding.severity === 'info') continue
    for (const id of new Set(finding.elements)) {
      const known = marks.get(id)
      marks.set(
        id,
        known === undefined
          ? { worst: finding.severity, count: 1 }
          : { worst: worse(known.worst, finding.severity), count: known.count + 1 }
      )
    }
  }
  for (const [id, mark] of marks) {
    const old = before.get(id)
    if (old !== undefined && old.worst === mark.worst && old.count === mark.count) marks.set(id, old)
  }
  return marks
}

/** node, edge, node …: nodes by the hop that leads to them, edges by their number. */
function placesOf(path: readonly string[]): Map<string, number> {
  const places = new Map<string, number>()
  path.forEach((id, at) => {
    if (!places.has(id)) places.set(id, Math.ceil(at / 2))
  })
  return places
}
