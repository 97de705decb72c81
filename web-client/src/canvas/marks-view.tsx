// Marks as they are drawn. They stand inside of their node and beside the chip of their edge, so that a drag or a moving view costs nothing more.

import { type MouseEvent, memo, use, useSyncExternalStore } from 'react'
import { createPortal } from 'react-dom'
import { SEVERITY_WORDS } from '../design/severity'
import { SeverityIcon } from '../ui/severity'
import { ChipLayerContext } from './actions'
import { type Mark, MarksContext } from './marks'

function useMarks(id: string) {
  const marks = use(MarksContext)
  const mark = useSyncExternalStore(marks.subscribe, () => marks.of(id))
  const place = useSyncExternalStore(marks.subscribe, () => marks.placeOnPath(id))
  return { marks, mark, place }
}

export const NodeMark = memo(function NodeMark({ id }: { id: string }) {
  const { marks, mark, place } = useMarks(id)
  return (
    <>
      {mark !== undefined && place === undefined && (
        <span aria-hidden="true" className="atlas-ring" data-severity={mark.worst} />
      )}
      {place !== undefined && (
        <span className="atlas-stop" data-testid="path-stop" data-element={id}>
          {place === 0 && <span>Attack begins</span>}
          {marks.isTarget(id) && <span>Target</span>}
        </span>
      )}
      {mark !== undefined && (
        <span className="atlas-mark-corner">
          <Badge id={id} mark={mark} open={marks.open} />
        </span>
      )}
    </>
  )
})

interface EdgeMarkProps {
  id: string
  /** Of the drawn line, and its middle in flow coordinates. */
  path: string
  x: number
  y: number
  /** What its chip says. */
  words: string
}

export const EdgeMark = memo(function EdgeMark({ id, path, x, y, words }: EdgeMarkProps) {
  const { marks, mark, place } = useMarks(id)
  const layer = use(ChipLayerContext)
  if (mark === undefined && place === undefined) return null
  return (
    <>
      {mark !== undefined && place === undefined && (
        <path d={path} className="atlas-edge-glow" data-severity={mark.worst} />
      )}
      {place !== undefined && <path d={path} className="atlas-edge-hop" />}
      {layer !== null &&
        createPortal(
          <div
            className="atlas-edge-marks"
            // Above the chip; on a path upon it, with its words.
            style={{
              transform: `translate(-50%, ${place === undefined ? '-100%' : '-50%'}) translate(${x}px, ${place === undefined ? y - 9 : y}px)`
            }}
          >
            {place !== undefined && (
              <span className="atlas-hop" data-testid="path-hop" data-element={id}>
                <b>{place}</b>
                {words}
              </span>
            )}
            {mark !== undefined && <Badge id={id} mark={mark} open={marks.open} />}
          </div>,
          layer
        )}
    </>
  )
})

/** Reached by Tab in the panel, where everything about it is said: a thousand of these would only stand in the way. */
function Badge({ id, mark, open }: { id: string; mark: Mark; open: (id: string) => void }) {
  const several = 1 < mark.count
  const severity = SEVERITY_WORDS[mark.worst].toLowerCase()
  const means = several ? ` findings, the worst ${severity}` : `1 finding, ${severity}`
  const press = (event: MouseEvent) => {
    event.stopPropagation()
    open(id)
  }
  return (
    <button
      type="button"
      tabIndex={-1}
      title={several ? `${mark.count}${means}` : means}
      data-testid="finding-mark"
      data-element={id}
      data-severity={mark.worst}
      data-count={mark.count}
      data-several={several || undefined}
      onClick={press}
      className="atlas-mark nodrag nopan"
    >
      <SeverityIcon severity={mark.worst} size={15} />
      {several && mark.count}
      <span className="sr-only">{means}: show</span>
    </button>
  )
}
