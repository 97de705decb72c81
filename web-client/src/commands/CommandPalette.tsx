// Everything that can be done, by name (Mod+K).

import { Command as Cmdk } from 'cmdk'
import { Dialog } from 'radix-ui'
import { Kbd } from '../ui/Kbd'
import { CommandIcon } from './CommandIcon'
import { useCommandContext, useUi } from './context'
import { fit } from './match'
import { commandsFor, perform } from './registry'
import { shownShortcut } from './shortcuts'
import { COMMAND_GROUPS, type Command, type CommandContext, titleOf } from './types'

/** Mount once below `Commands`; it is open while `ui.state.dialog` is 'commands'. */
export function CommandPalette() {
  const context = useCommandContext()
  const { dialog } = useUi()
  const close = () => context.ui.set({ dialog: null })
  return (
    <Dialog.Root open={dialog === 'commands'} onOpenChange={open => open || close()}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 bg-black/45" />
        <Dialog.Content
          aria-describedby={undefined}
          className="fixed top-[14vh] left-1/2 z-40 w-[calc(100vw-2rem)] max-w-xl -translate-x-1/2 overflow-hidden rounded-xl border border-line bg-panel text-ink shadow-panel"
        >
          <Dialog.Title className="sr-only">Command palette</Dialog.Title>
          <Choices context={context} close={close} />
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

const GROUP =
  '[&_[cmdk-group-heading]]:px-2 [&_[cmdk-group-heading]]:pt-2 [&_[cmdk-group-heading]]:pb-1 [&_[cmdk-group-heading]]:text-xs [&_[cmdk-group-heading]]:text-faint'

function Choices({ context, close }: { context: CommandContext; close: () => void }) {
  const commands = commandsFor(context)
  const choose = (command: Command) => {
    // Closed first: what the command opens takes the focus from the page, not from a palette that is going.
    close()
    perform(command, context)
  }
  return (
    <Cmdk label="Commands" loop filter={(_, search, [title = '', ...words] = []) => fit(search, title, words)}>
      <Cmdk.Input
        placeholder="What do you want to do?"
        className="h-12 w-full border-b border-line bg-transparent px-4 text-[15px] text-ink outline-none! placeholder:text-faint"
      />
      <Cmdk.List className="max-h-[52vh] overflow-y-auto p-1.5" label="Commands">
        <Cmdk.Empty className="px-3 py-8 text-center text-sm text-muted">No command is called that.</Cmdk.Empty>
        {COMMAND_GROUPS.map(group => (
          <Cmdk.Group key={group} heading={group} className={GROUP}>
            {commands
              .filter(command => command.group === group && command.id !== 'command-palette')
              .map(command => (
                <Choice key={command.id} command={command} context={context} choose={choose} />
              ))}
          </Cmdk.Group>
        ))}
      </Cmdk.List>
    </Cmdk>
  )
}

function Choice(props: { command: Command; context: CommandContext; choose: (command: Command) => void }) {
  const { command, context, choose } = props
  const title = titleOf(command, context)
  const [shortcut] = command.shortcuts
  return (
    <Cmdk.Item
      // Two people may have one name: the id keeps their commands apart.
      value={command.id}
      keywords={[title, ...(command.words ?? [])]}
      disabled={!command.enabled(context)}
      onSelect={() => choose(command)}
      className="flex cursor-pointer items-center gap-2.5 rounded-md px-2 py-1.5 text-sm aria-disabled:cursor-default aria-disabled:opacity-45 aria-selected:bg-hover"
    >
      <span className="inline-flex size-5 items-center justify-center text-muted" aria-hidden="true">
        <CommandIcon command={command} size={18} />
      </span>
      <bdi className="flex-1">{title}</bdi>
      {shortcut !== undefined && <Kbd keys={shownShortcut(shortcut)} />}
    </Cmdk.Item>
  )
}
