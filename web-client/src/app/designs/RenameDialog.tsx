// Gives a design another name from the list, without opening it.

import { useServices } from '../services'
import { NameDialog } from './NameDialog'

export interface RenameDialogProps {
  design: string
  name: string
  onClose: () => void
  onRenamed: () => void
}

export function RenameDialog({ design, name, onClose, onRenamed }: RenameDialogProps) {
  const { api } = useServices()
  const rename = async (next: string) => {
    if (next !== name) await api.renameDesign(design, next)
    onClose()
    onRenamed()
  }
  return <NameDialog open title={`Rename “${name}”`} act="Rename" name={name} onName={rename} onClose={onClose} />
}
