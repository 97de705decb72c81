// One design in the list: its name, where its edits are, and what its person may do with it.

import { EllipsisVertical, HardDriveDownload, Pencil, Trash2, TriangleAlert, Users } from 'lucide-react'
import { useState } from 'react'
import type { Person } from '../../sync/person'
import { Badge } from '../../ui/Badge'
import { ConfirmDialog } from '../../ui/Dialog'
import { IconButton } from '../../ui/IconButton'
import { Menu, MenuItem, MenuSeparator } from '../../ui/Menu'
import { toast } from '../../ui/toasts'
import { Link } from '../Link'
import { MembersDialog } from '../members/MembersDialog'
import { designPath } from '../router'
import { useServices } from '../services'
import { ago, count, ROLE_WORDS } from '../words'
import type { DesignRow } from './design-list'
import { RenameDialog } from './RenameDialog'

export interface DesignRowViewProps {
  row: DesignRow
  offline: boolean
  person: Person
  /** The list has to be asked again. */
  onChanged: () => void
}

export function DesignRowView({ row, offline, person, onChanged }: DesignRowViewProps) {
  const [asks, setAsks] = useState<'rename' | 'members' | 'delete' | null>(null)
  const close = () => setAsks(null)
  const away = offline && row.local === null
  const mayEdit = row.role === 'owner' || row.role === 'editor'
  return (
    <li data-testid="design-row" className="flex items-center gap-3 px-4 py-3 hover:bg-hover">
      <div className="min-w-0 flex-1">
        {away ? (
          <span className="block truncate font-medium text-faint">{row.name}</span>
        ) : (
          <Link
            href={designPath(row.id)}
            className="block truncate font-medium text-ink hover:text-accent hover:underline"
          >
            {row.name}
          </Link>
        )}
        <p className="text-xs text-muted">
          {away
            ? 'Not on this device'
            : `${offline || row.orphan ? 'Seen here' : 'Changed'} ${ago(row.updated_at, Date.now())}`}
        </p>
      </div>
      <LocalBadges row={row} offline={offline} />
      <Badge tone={row.role === 'owner' ? 'accent' : 'neutral'}>{ROLE_WORDS[row.role]}</Badge>
      <Menu trigger={<IconButton name={`More about ${row.name}`} icon={<EllipsisVertical size={16} />} />}>
        <MenuItem
          icon={<Pencil size={14} />}
          disabled={offline || !mayEdit || row.orphan}
          onSelect={() => setAsks('rename')}
        >
          Rename
        </MenuItem>
        <MenuItem icon={<Users size={14} />} disabled={offline || row.orphan} onSelect={() => setAsks('members')}>
          Members
        </MenuItem>
        <MenuSeparator />
        <MenuItem
          danger
          icon={<Trash2 size={14} />}
          disabled={offline || row.role !== 'owner' || row.orphan}
          onSelect={() => setAsks('delete')}
        >
          Delete
        </MenuItem>
      </Menu>
      {asks === 'rename' && <RenameDialog design={row.id} name={row.name} onClose={close} onRenamed={onChanged} />}
      {asks === 'members' && (
        <MembersDialog design={row.id} name={row.name} person={person} onClose={close} onLeft={onChanged} />
      )}
      <DeleteDialog row={row} open={asks === 'delete'} onClose={close} onDeleted={onChanged} user={person.id} />
    </li>
  )
}

function LocalBadges({ row, offline }: { row: DesignRow; offline: boolean }) {
  const { local } = row
  if (local === null) return null
  return (
    <>
      {0 < local.unsaved && (
        <Badge tone="warn" icon={<TriangleAlert size={12} aria-hidden="true" />}>
          {count(local.unsaved, 'unsent edit')}
        </Badge>
      )}
      {0 < local.recoveries && (
        <Badge tone="warn" icon={<TriangleAlert size={12} aria-hidden="true" />}>
          {count(local.recoveries, 'recovery file')}
        </Badge>
      )}
      {row.orphan && <Badge tone="danger">Not on the server</Badge>}
      {offline && local.unsaved + local.recoveries === 0 && (
        <Badge icon={<HardDriveDownload size={12} aria-hidden="true" />}>On this device</Badge>
      )}
    </>
  )
}

interface DeleteDialogProps {
  row: DesignRow
  user: string
  open: boolean
  onClose: () => void
  onDeleted: () => void
}

function DeleteDialog({ row, user, open, onClose, onDeleted }: DeleteDialogProps) {
  const { api, local } = useServices()
  const remove = async () => {
    await api.deleteDesign(row.id)
    // The copy goes with it only when nothing in it is unsent.
    if (row.local !== null) await local.forget(user, row.id).catch(() => false)
    toast(`“${row.name}” was deleted.`, { tone: 'ok' })
    onClose()
    onDeleted()
  }
  return (
    <ConfirmDialog
      open={open}
      title={`Delete “${row.name}”?`}
      confirm="Delete"
      danger
      onConfirm={remove}
      onClose={onClose}
    >
      <p>
        The design <strong>{row.name}</strong> and its history go for everybody who works on it. This cannot be undone.
      </p>
    </ConfirmDialog>
  )
}
