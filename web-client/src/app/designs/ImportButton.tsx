// Brings a design from a file: choose, wait, read what became of it, open it.

import { FileUp } from 'lucide-react'
import { useRef, useState } from 'react'
import type { ImportReport } from '../../sync/api'
import { Button } from '../../ui/Button'
import { Dialog } from '../../ui/Dialog'
import { Spinner } from '../../ui/Spinner'
import { designPath, navigate } from '../router'
import { useServices } from '../services'
import { messageOf } from '../words'
import { ImportReportView } from './ImportReportView'

/** Bytes: what the server takes. Asked here too, before anything is sent. */
const FILE_BYTES_MAX = 5 * 1024 * 1024

type Import =
  | { step: 'sending'; file: string }
  | { step: 'failed'; file: string; why: string }
  | { step: 'done'; file: string; design: string; report: ImportReport }

export function ImportButton({ disabled, onImported }: { disabled: boolean; onImported: () => void }) {
  const { api } = useServices()
  const input = useRef<HTMLInputElement>(null)
  const [current, setCurrent] = useState<Import | null>(null)

  const take = async (file: File) => {
    if (FILE_BYTES_MAX < file.size) {
      setCurrent({
        step: 'failed',
        file: file.name,
        why: 'This file is larger than 5 MiB, which is the most that can be imported.'
      })
      return
    }
    setCurrent({ step: 'sending', file: file.name })
    try {
      const { id, report } = await api.importDesign(file)
      setCurrent({ step: 'done', file: file.name, design: id, report })
      onImported()
    } catch (error) {
      setCurrent({ step: 'failed', file: file.name, why: messageOf(error) })
    }
  }
  return (
    <>
      <Button icon={<FileUp size={16} aria-hidden="true" />} disabled={disabled} onClick={() => input.current?.click()}>
        Import
      </Button>
      <input
        ref={input}
        type="file"
        accept=".json,application/json"
        aria-label="File to import"
        data-testid="import-file"
        className="hidden"
        onChange={event => {
          const file = event.target.files?.[0]
          // The same file may be chosen again after it was mended.
          event.target.value = ''
          if (file !== undefined) void take(file)
        }}
      />
      {current !== null && <ImportDialog current={current} onClose={() => setCurrent(null)} />}
    </>
  )
}

const TITLES: Readonly<Record<Import['step'], string>> = {
  sending: 'Importing',
  failed: 'Not imported',
  done: 'Imported'
}

function ImportDialog({ current, onClose }: { current: Import; onClose: () => void }) {
  const sending = current.step === 'sending'
  return (
    <Dialog
      open
      size="wide"
      title={TITLES[current.step]}
      description={current.file}
      // While the server works the dialog stays: closing it would not stop the import.
      onClose={() => sending || onClose()}
      footer={
        sending ? undefined : (
          <>
            <Button onClick={onClose}>Close</Button>
            {current.step === 'done' && (
              <Button tone="primary" onClick={() => navigate(designPath(current.design))}>
                Open design
              </Button>
            )}
          </>
        )
      }
    >
      {sending && <Spinner label="The server reads the file" />}
      {current.step === 'failed' && (
        <p role="alert" className="text-sm text-danger">
          {current.why}
        </p>
      )}
      {current.step === 'done' && <ImportReportView report={current.report} />}
    </Dialog>
  )
}
