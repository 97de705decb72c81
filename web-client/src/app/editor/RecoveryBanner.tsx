// What could not be kept after a reset is offered as a file, until the person has it and says that it may go.

import { LifeBuoy } from 'lucide-react'
import { useState } from 'react'
import type { DesignSession, RecoveryFile } from '../../sync/types'
import { Banner } from '../../ui/Banner'
import { Button } from '../../ui/Button'
import { ConfirmDialog } from '../../ui/Dialog'
import { toast } from '../../ui/toasts'
import { count, messageOf } from '../words'
import { download, fileName } from './download'
import { recoveryDocument } from './recovery-document'

/** What the question is about. A file that comes while it is open is not meant by the answer. */
interface Discarding {
  ids: readonly string[]
  /** These are what was downloaded, not all that there is. */
  downloaded: boolean
  /** How many others there are. */
  staying: number
}

export function RecoveryBanner({
  session,
  name,
  recoveries
}: {
  session: DesignSession
  name: string
  recoveries: number
}) {
  /** The ids of what this person has downloaded here. */
  const [downloaded, setDownloaded] = useState<ReadonlySet<string>>(new Set())
  const [discarding, setDiscarding] = useState<Discarding | null>(null)
  if (recoveries === 0) return null

  const withFiles = async (act: (files: readonly RecoveryFile[]) => void) => {
    try {
      act([...(await session.recoveries())].sort((a, b) => a.at - b.at))
    } catch (error) {
      toast(`What could not be kept could not be read. ${messageOf(error)}`, { tone: 'danger' })
    }
  }
  const save = (files: readonly RecoveryFile[]) => {
    const newest = files.at(-1)
    if (newest === undefined) return
    const stamp = new Date(newest.at).toISOString().slice(0, 19).replaceAll(':', '-')
    download(recoveryDocument(files), `${fileName(name)}-recovery-${stamp}.json`)
    setDownloaded(new Set(files.map(each => each.id)))
  }
  const ask = (files: readonly RecoveryFile[]) => {
    const known = files.filter(each => downloaded.has(each.id))
    const ids = (known.length === 0 ? files : known).map(each => each.id)
    if (0 < ids.length) setDiscarding({ ids, downloaded: 0 < known.length, staying: files.length - ids.length })
  }
  const discard = async () => {
    for (const id of discarding?.ids ?? []) await session.discardRecovery(id)
    setDiscarding(null)
  }
  return (
    <Banner
      tone="warn"
      data-testid="recovery"
      icon={<LifeBuoy size={16} aria-hidden="true" />}
      actions={
        <>
          <Button size="small" onClick={() => void withFiles(save)}>
            Download what could not be kept
          </Button>
          <Button size="small" onClick={() => void withFiles(ask)}>
            Discard
          </Button>
        </>
      }
    >
      The server could not take some of your edits. They are not in the drawing, but nothing is lost:{' '}
      {recoveries === 1 ? 'a recovery file has' : `${count(recoveries, 'recovery file')} have`} them.
      {discarding !== null && (
        <ConfirmDialog
          open
          danger
          title="Discard what could not be kept?"
          confirm="Discard"
          onConfirm={discard}
          onClose={() => setDiscarding(null)}
        >
          {whatGoes(discarding)}
        </ConfirmDialog>
      )}
    </Banner>
  )
}

function whatGoes({ ids, downloaded, staying }: Discarding): string {
  const one = ids.length === 1
  const rest = staying === 0 ? '' : ` ${count(staying, 'file')} that came later ${staying === 1 ? 'stays' : 'stay'}.`
  if (downloaded) {
    const which = one
      ? 'The recovery file that you downloaded is'
      : `The ${ids.length} recovery files that you downloaded are`
    return `${which} deleted from this device.${rest}`
  }
  const which = one ? 'The recovery file is' : `All ${ids.length} recovery files are`
  return `${which} deleted from this device. Download first if you may still need what is in there.`
}
