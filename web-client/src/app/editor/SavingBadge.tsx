// The truth about saving, always in sight: words and a sign, and the colour only repeats them.

import {
  CircleX,
  Cloud,
  CloudAlert,
  CloudCheck,
  CloudOff,
  CloudUpload,
  Eye,
  type LucideIcon,
  TriangleAlert,
  UserX
} from 'lucide-react'
import type { SavingState } from '../../sync/types'
import { TONE_CLASSES } from '../../ui/Badge'
import { cx } from '../../ui/classes'
import { Tooltip } from '../../ui/Tooltip'
import { toast } from '../../ui/toasts'
import { savingWords, unsavedOf } from './saving-words'

const ICONS: Readonly<Record<SavingState['kind'], LucideIcon>> = {
  loading: Cloud,
  saved: CloudCheck,
  saving: CloudUpload,
  offline: CloudOff,
  trouble: CloudAlert,
  'read-only': Eye,
  removed: CircleX,
  'signed-out': UserX,
  broken: TriangleAlert
}

/** Kinds that come and go with every stroke: screen readers are not told of each. */
const ROUTINE: readonly SavingState['kind'][] = ['loading', 'saved', 'saving']

export function SavingBadge({ saving, onRetry }: { saving: SavingState; onRetry: () => void }) {
  const { text, means, tone } = savingWords(saving)
  const Icon = ICONS[saving.kind]
  // A finger has no hover: a press says the same as the tooltip, and tries again where that is what one would want.
  const press = () => {
    toast(means, {
      id: 'saving',
      ...(saving.kind === 'offline' ? { action: { label: 'Try now', run: onRetry }, lastsMs: 8_000 } : {})
    })
  }
  return (
    <>
      <Tooltip text={means}>
        <button
          type="button"
          data-testid="saving"
          data-kind={saving.kind}
          data-unsaved={unsavedOf(saving)}
          onClick={press}
          className={cx(
            'inline-flex h-7 max-w-full min-w-0 cursor-pointer items-center gap-1.5 rounded-full px-2.5 text-xs font-medium',
            TONE_CLASSES[tone]
          )}
        >
          <Icon size={14} className="shrink-0" aria-hidden="true" />
          <span className="truncate">{text}</span>
        </button>
      </Tooltip>
      <span className="sr-only" role="status">
        {ROUTINE.includes(saving.kind) ? '' : means}
      </span>
    </>
  )
}
