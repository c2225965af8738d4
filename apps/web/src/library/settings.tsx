/** What a person can choose, in parts: a dialog with tabs (WAI-ARIA), down the side where there is room. */
import './settings.css';
import { type KeyboardEvent, type ReactNode, useId } from 'react';
import { Dialog } from '../components/dialog.tsx';
import { useTexts } from '../i18n.ts';
import { closeSettings, usePage, useStore } from '../state.ts';
import { AccountPanel } from './account-panel.tsx';
import { AnswersPanel } from './answers-panel.tsx';
import { DataPanel } from './data-panel.tsx';
import { GeneralPanel } from './general-panel.tsx';
import { PersonasPanel } from './personas-panel.tsx';
import { settingsState, type Tab, TABS } from './settings-state.ts';
import { settingsTexts } from './settings-texts.ts';
import { KeyList } from './shortcuts-help.tsx';

export function Settings(): ReactNode {
  const t = useTexts(settingsTexts);
  const open = usePage((state) => state.settings);
  return (
    <Dialog title={t('settings')} open={open} onClose={closeSettings} shape="wide">
      <Tabs />
    </Dialog>
  );
}

function Tabs(): ReactNode {
  const t = useTexts(settingsTexts);
  const id = useId();
  const signedIn = usePage(({ session }) => session !== null && session.user !== null);
  const chosen = useStore(settingsState, (state) => state.tab);
  const tabs = TABS.filter((tab) => tab !== 'account' || signedIn);
  const tab = tabs.includes(chosen) ? chosen : 'general';
  const onKeyDown = (event: KeyboardEvent<HTMLElement>): void => {
    const at = tabs.indexOf(tab);
    const last = tabs.length - 1;
    // Down the side or along the top: both pairs of arrows go on and back.
    const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length] ?? 'general';
    settingsState.set({ tab: next });
    event.currentTarget.querySelector<HTMLElement>(`[data-tab="${next}"]`)?.focus();
  };
  return (
    <div className="settings">
      <div className="settings-tabs" role="tablist" tabIndex={-1} aria-label={t('settings')} onKeyDown={onKeyDown}>
        {tabs.map((each) => (
          <button
            key={each} type="button" role="tab" id={`${id}-${each}`} data-tab={each} aria-selected={each === tab} aria-controls={`${id}-panel`} tabIndex={each === tab ? 0 : -1}
            onClick={(event) => {
              settingsState.set({ tab: each });
              event.currentTarget.scrollIntoView({ block: 'nearest', inline: 'nearest' });
            }}
          >
            {t(each)}
          </button>
        ))}
      </div>
      <div key={tab} className="settings-panel" role="tabpanel" tabIndex={0} id={`${id}-panel`} aria-labelledby={`${id}-${tab}`}>
        <Panel tab={tab} />
      </div>
    </div>
  );
}

function Panel({ tab }: { readonly tab: Tab }): ReactNode {
  switch (tab) {
    case 'general': return <GeneralPanel />;
    case 'answers': return <AnswersPanel />;
    case 'personas': return <PersonasPanel />;
    case 'data': return <DataPanel />;
    case 'keys': return <KeyList />;
    case 'account': return <AccountPanel />;
    default: return tab satisfies never;
  }
}
