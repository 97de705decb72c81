// Makes a design under the name that was asked for, and opens it.

import { designPath, navigate } from '../router'
import { useServices } from '../services'
import { NameDialog } from './NameDialog'

export function NewDesignDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { api } = useServices()
  const create = async (name: string) => {
    const made = await api.createDesign(name)
    onClose()
    navigate(designPath(made.id))
  }
  return <NameDialog open={open} title="New design" act="Create" name="" onName={create} onClose={onClose} />
}
