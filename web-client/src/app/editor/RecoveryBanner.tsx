// What could not be kept after a reset is offered as a file, until the person has it and says that it may go.

import { LifeBuoy } from 'lucide-react'
import { useState } from 'react'
import type { DesignSession } from '../../sync/types'
import { Banner } from '../../ui/Banner'
import { Button } from '../../ui/Button'
import { ConfirmDialog } from '../../ui/Dialog'
import { toast } from '../../ui/toasts'
import { count, messageOf } from '../words'
import { download, fileName } from './download'

export function RecoveryBanner({
  session,
  name,
  recoveries
}: {
  session: DesignSession
  name: string
  recoveries: number
}) {
  const [discarding, setDiscarding] = useState(false)
  if (recoveries === 0) return null

  const save = async () => {
    try {
      for (const file of await session.recoveries()) {
        const stamp = new Date(file.at).toISOString().slice(0, 19).replaceAll(':', '-')
        download(file.json, `${fileName(name)}-recovery-${stamp}.json`)
      }
    } catch (error) {
      toast(`The recovery file could not be read. ${messageOf(error)}`, { tone: 'danger' })
    }
  }
  const discard = async () => {
    for (const file of await session.recoveries()) await session.discardRecovery(file.id)
    setDiscarding(false)
  }
  return (
    <Banner
      tone="warn"
      data-testid="recovery"
      icon={<LifeBuoy size={16} aria-hidden="true" />}
      actions={
        <>
          <Button size="small" onClick={() => void save()}>
            Download what could not be kept
          </Button>
          <Button size="small" onClick={() => setDiscarding(true)}>
            Discard
          </Button>
        </>
      }
    >
      The server could not take some of your edits. They are not in the drawing, but nothing is lost:{' '}
      {recoveries === 1 ? 'a recovery file has' : `${count(recoveries, 'recovery file')} have`} them.
      <ConfirmDialog
        open={discarding}
        danger
        title="Discard what could not be kept?"
        confirm="Discard"
        onConfirm={discard}
        onClose={() => setDiscarding(false)}
      >
        {recoveries === 1 ? 'The recovery file is' : `All ${recoveries} recovery files are`} deleted from this device.
        Download first if you may still need what is in there.
      </ConfirmDialog>
    </Banner>
  )
}
