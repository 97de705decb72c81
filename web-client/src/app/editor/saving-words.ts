// What is said about saving: one text for each state that the protocol tells, and what it means for one's work. Nothing here guesses.

import type { SavingState } from '../../sync/types'
import type { Tone } from '../../ui/Badge'
import { count } from '../words'

export interface SavingWords {
  text: string
  /** One sentence or two. */
  means: string
  tone: Tone
}

const kept = (unsaved: number): string =>
  unsaved === 0 ? '' : ` ${count(unsaved, 'edit')} of this device ${unsaved === 1 ? 'is' : 'are'} kept here.`

export function savingWords(saving: SavingState): SavingWords {
  switch (saving.kind) {
    case 'loading':
      return {
        text: 'Loading',
        means: 'The design is being fetched. Nothing can be edited until it is here.',
        tone: 'neutral'
      }
    case 'saved':
      return {
        text: 'Saved',
        means: 'The server has stored every edit of this device. It is safe to close the page.',
        tone: 'ok'
      }
    case 'saving':
      return {
        text: 'Saving',
        means: `${count(saving.unsaved, 'edit')} on the way to the server. They are kept on this device until it has stored them.`,
        tone: 'accent'
      }
    case 'offline':
      return {
        text: `Offline (${saving.unsaved})`,
        means: `The server cannot be reached. Go on drawing: edits are kept on this device and sent when it is back.${kept(saving.unsaved)}`,
        tone: 'warn'
      }
    case 'trouble':
      return {
        text: 'Server storage in trouble (edits kept here)',
        means: `The server is there but cannot store anything for now. Go on drawing: it takes the edits as soon as it can.${kept(saving.unsaved)}`,
        tone: 'warn'
      }
    case 'read-only':
      return { text: 'Read-only', means: saving.reason, tone: 'neutral' }
    case 'removed':
      return {
        text: 'Removed',
        means: `${saving.why === 'deleted' ? 'The design was deleted.' : 'You are no longer a member of this design.'} Nothing is sent any more.${kept(saving.unsaved)}`,
        tone: 'danger'
      }
    case 'signed-out':
      return {
        text: 'Signed out',
        means: `Your login ended. Sign in again to go on; nothing is sent until then.${kept(saving.unsaved)}`,
        tone: 'danger'
      }
    case 'broken':
      return {
        text: 'Cannot save',
        means: `This page and the server do not understand each other: ${saving.reason}.${kept(saving.unsaved)}`,
        tone: 'danger'
      }
  }
}

export const unsavedOf = (saving: SavingState): number => ('unsaved' in saving ? saving.unsaved : 0)
