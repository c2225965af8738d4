/** Which part of the settings is open, and a persona that is being written: both survive the dialog being closed by a slip. */
import type { TalkParameters } from '@parley/protocol';
import { createStore, openSettings } from '../state.ts';

export const TABS = ['general', 'answers', 'personas', 'data', 'keys', 'account'] as const;
export type Tab = (typeof TABS)[number];

export interface PersonaDraft {
  /** Null: a new one. */
  readonly id: string | null;
  /** As it was called when editing began, '' for a new one. */
  readonly before: string;
  readonly name: string;
  readonly system: string;
  readonly parameters: TalkParameters;
}

export const settingsState = createStore<{ readonly tab: Tab; readonly draft: PersonaDraft | null }>({ tab: 'general', draft: null });

export function openSettingsAt(tab: Tab): void {
  settingsState.set({ tab });
  openSettings();
}
