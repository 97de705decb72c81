// Menus that drop from a button, and the items of every menu. Arrow keys, first letters and Escape work as everywhere.

import { Check } from 'lucide-react'
import { DropdownMenu as RadixMenu } from 'radix-ui'
import { type ReactNode, use } from 'react'
import { cx } from './classes'
import { Kbd } from './Kbd'
import { CONTENT, Parts } from './menu-parts'

export { ContextMenu, type ContextMenuProps } from './ContextMenu'

const ITEM =
  'flex cursor-pointer items-center gap-2 rounded-md px-2 py-1.5 outline-none select-none data-[highlighted]:bg-hover data-[disabled]:cursor-default data-[disabled]:opacity-50'

export interface MenuProps {
  /** One button. */
  trigger: ReactNode
  align?: 'start' | 'end'
  children: ReactNode
}

export function Menu({ trigger, align = 'end', children }: MenuProps) {
  return (
    <Parts value={RadixMenu}>
      <RadixMenu.Root modal={false}>
        <RadixMenu.Trigger asChild>{trigger}</RadixMenu.Trigger>
        <RadixMenu.Portal>
          <RadixMenu.Content align={align} sideOffset={4} collisionPadding={8} className={CONTENT}>
            {children}
          </RadixMenu.Content>
        </RadixMenu.Portal>
      </RadixMenu.Root>
    </Parts>
  )
}

export interface MenuItemProps {
  onSelect: () => void
  icon?: ReactNode
  shortcut?: string
  disabled?: boolean
  danger?: boolean
  children: ReactNode
}

export function MenuItem({ onSelect, icon, shortcut, disabled = false, danger = false, children }: MenuItemProps) {
  const { Item } = use(Parts)
  return (
    <Item disabled={disabled} onSelect={onSelect} className={cx(ITEM, danger && 'text-danger')}>
      <span className="inline-flex size-4 items-center justify-center text-muted" aria-hidden="true">
        {icon}
      </span>
      <span className="flex-1">{children}</span>
      {shortcut !== undefined && <Kbd keys={shortcut} />}
    </Item>
  )
}

export interface MenuChoiceProps<T extends string> {
  value: T
  onChange: (value: T) => void
  choices: readonly { value: T; label: string }[]
}

/** One of several. */
export function MenuChoice<T extends string>({ value, onChange, choices }: MenuChoiceProps<T>) {
  const { RadioGroup, RadioItem, ItemIndicator } = use(Parts)
  const pick = (next: string) => {
    const choice = choices.find(each => each.value === next)
    if (choice !== undefined) onChange(choice.value)
  }
  return (
    <RadioGroup value={value} onValueChange={pick}>
      {choices.map(choice => (
        <RadioItem key={choice.value} value={choice.value} className={ITEM}>
          <span className="inline-flex size-4 items-center justify-center text-muted">
            <ItemIndicator>
              <Check size={14} aria-hidden="true" />
            </ItemIndicator>
          </span>
          {choice.label}
        </RadioItem>
      ))}
    </RadioGroup>
  )
}

export function MenuSeparator() {
  const { Separator } = use(Parts)
  return <Separator className="-mx-1 my-1 h-px bg-line" />
}

export function MenuLabel({ children }: { children: ReactNode }) {
  const { Label } = use(Parts)
  return <Label className="px-2 py-1 text-xs text-faint">{children}</Label>
}
