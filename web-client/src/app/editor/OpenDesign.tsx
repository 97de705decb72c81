// A drawing that can be shown: the commands around it, and the parts of the screen in their places.

import { useMemo, useState } from 'react'
import { FindingsPanel } from '../../analysis/FindingsPanel'
import { ScoreButton } from '../../analysis/ScoreButton'
import { TraceBar } from '../../analysis/TraceBar'
import type { CanvasEditor } from '../../binding/types'
import { CanvasMenu } from '../../commands/CanvasMenu'
import { CommandButton } from '../../commands/CommandButton'
import { CommandPalette } from '../../commands/CommandPalette'
import { Commands, useCommandContext, useUi } from '../../commands/context'
import { jumpTo } from '../../commands/people-commands'
import { ShortcutSheet } from '../../commands/ShortcutSheet'
import { UiStore } from '../../commands/ui-store'
import { useFlowView } from '../../commands/use-flow-view'
import { text } from '../../design/elements'
import { DesignName } from '../../panels/DesignName'
import { Inspector } from '../../panels/Inspector'
import { Palette } from '../../panels/Palette'
import { SearchBox } from '../../panels/SearchBox'
import { useEditorState } from '../../panels/use-editor'
import { Avatars } from '../../presence/Avatars'
import type { Reporter } from '../../presence/reporter'
import type { Person } from '../../sync/person'
import type { SessionState } from '../../sync/types'
import { MembersDialog } from '../members/MembersDialog'
import { navigate } from '../router'
import { useTitle } from '../title'
import { UserMenu } from '../UserMenu'
import { BlankHint } from './BlankHint'
import { CanvasPane } from './CanvasPane'
import { useDebugWindow } from './debug-window'
import { EditorFrame } from './EditorFrame'
import { useOpenAnalysis } from './open-analysis'
import { usePeersStore } from './open-editor'
import { downloadDesign, pageActs } from './page-acts'
import { SavingBadge } from './SavingBadge'
import { SessionBanners } from './SessionBanners'
import { SidePanel } from './SidePanel'
import { savingWords } from './saving-words'
import { ToolGap, TopBar } from './TopBar'

export interface OpenDesignProps {
  editor: CanvasEditor
  reporter: Reporter
  state: SessionState
  person: Person
}

/** Below this width, in pixels, panels lie above the canvas, and start closed. */
const NARROW = 768
const isNarrow = () => window.innerWidth < NARROW

export function OpenDesign(props: OpenDesignProps) {
  const { editor, person } = props
  const peers = usePeersStore(editor.session, person)
  const view = useFlowView()
  const [ui] = useState(() => {
    const store = new UiStore(pageActs(editor, view))
    if (isNarrow()) store.set({ palette: false, inspector: false, findings: false, minimap: false })
    return store
  })
  useDebugWindow(editor)
  return (
    <Commands editor={editor} presence={peers} ui={ui}>
      <Screen {...props} />
    </Commands>
  )
}

function Screen({ editor, reporter, state, person }: OpenDesignProps) {
  const { session } = editor
  const { presence, ui } = useCommandContext()
  const shown = useUi()
  const name = useDesignName(editor)
  useTitle(name)
  const { analysis, focus, marks } = useOpenAnalysis(editor, ui)
  const readOnlyWhy = useMemo(() => whyReadOnly(state), [state])
  return (
    <>
      <EditorFrame
        top={
          <TopBar
            name={
              <DesignName editor={editor} renaming={shown.renaming} onRenaming={renaming => ui.set({ renaming })} />
            }
            saving={
              <>
                <SavingBadge saving={state.saving} onRetry={() => session.retry()} />
                <ScoreButton
                  store={analysis}
                  pressed={shown.findings}
                  onPress={() => ui.set({ findings: !shown.findings })}
                />
              </>
            }
            people={<Avatars peers={presence} onJump={who => jumpTo({ presence, ui }, who)} />}
            tools={<Tools />}
            account={<UserMenu person={person} />}
          />
        }
        banners={
          <SessionBanners
            session={session}
            state={state}
            person={person}
            name={name}
            onDownload={() => downloadDesign(editor)}
          />
        }
        palette={shown.palette ? <Palette editor={editor} /> : null}
        side={
          shown.findings || shown.inspector ? (
            <SidePanel
              shown={shown.findings ? 'findings' : 'inspector'}
              choose={part => ui.set({ [part]: true })}
              inspector={<Inspector editor={editor} readOnlyWhy={readOnlyWhy} />}
              findings={
                <FindingsPanel
                  editor={editor}
                  store={analysis}
                  focus={focus}
                  showNodes={nodes => ui.acts.view.fit(nodes)}
                  onLook={() => isNarrow() && ui.set({ findings: false })}
                />
              }
            />
          ) : null
        }
        overlay={
          <>
            {shown.searching && (
              <div className="absolute inset-x-0 top-3 z-10 flex justify-center px-3">
                <SearchBox editor={editor} onClose={() => ui.set({ searching: false })} />
              </div>
            )}
            <TraceBar editor={editor} store={analysis} focus={focus} />
          </>
        }
        canvas={
          <CanvasMenu>
            <CanvasPane editor={editor} reporter={reporter} marks={shown.marks ? marks : null} />
            <BlankHint editor={editor} />
          </CanvasMenu>
        }
      />
      <CommandPalette />
      <ShortcutSheet />
      {shown.dialog === 'members' && (
        <MembersDialog
          design={session.design}
          name={name}
          person={person}
          onClose={() => ui.set({ dialog: null })}
          onLeft={() => navigate('/')}
        />
      )}
    </>
  )
}

function Tools() {
  return (
    <>
      <CommandButton id="undo" />
      <CommandButton id="redo" />
      <ToolGap />
      <CommandButton id="zoom-to-fit" />
      <CommandButton id="search" />
      <CommandButton id="toggle-others" />
      <ToolGap />
      <CommandButton id="toggle-palette" />
      <CommandButton id="toggle-inspector" />
      <ToolGap />
      <CommandButton id="command-palette" />
      <CommandButton id="shortcuts" />
      <CommandButton id="members" />
    </>
  )
}

function useDesignName(editor: CanvasEditor): string {
  const { view } = useEditorState(editor)
  return text(view.meta.name) || 'Untitled'
}

/** Why nothing can be changed, in a word or two. */
function whyReadOnly({ saving, canEdit }: SessionState): string {
  return canEdit ? '' : savingWords(saving).text
}
