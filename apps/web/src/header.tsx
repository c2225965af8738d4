/** The line over the thread: the history's button, who answers, and a new start. */
import type { ReactNode } from 'react';
import { IconButton } from './components/button.tsx';
import { GhostIcon, MenuIcon, NewChatIcon, SidebarIcon } from './components/icons.tsx';
import { defineTexts, useTexts } from './i18n.ts';
import { useNarrow } from './library/narrow.ts';
import { newConversation, page, setPreferences, usePage } from './state.ts';
import { useThreadState } from './thread/context.ts';
import { ModelPicker } from './thread/model-picker.tsx';

const texts = defineTexts(
  { history: 'Show the history', fresh: 'New conversation', temporary: 'Temporary chat', endTemporary: 'End the temporary chat', notKept: 'Not kept' },
  { history: '显示历史', fresh: '新对话', temporary: '临时对话', endTemporary: '结束临时对话', notKept: '不保存' },
);

export function Header(): ReactNode {
  const t = useTexts(texts);
  const narrow = useNarrow();
  const sidebar = usePage((state) => state.preferences.sidebar);
  const temporary = usePage((state) => state.temporary);
  const empty = useThreadState((state) => state.leaf === null && !state.loading && state.loadError === null);
  const hidden = narrow || !sidebar;
  return (
    <header className="header">
      {hidden && (
        <IconButton
          label={t('history')} icon={narrow ? <MenuIcon /> : <SidebarIcon />}
          onClick={() => (narrow ? page.set({ drawer: true }) : setPreferences({ sidebar: true }))}
        />
      )}
      <ModelPicker />
      {temporary && <span className="badge">{t('notKept')}</span>}
      <span className="header-space" />
      {(empty || temporary) && (
        <IconButton label={temporary ? t('endTemporary') : t('temporary')} icon={<GhostIcon />} aria-pressed={temporary} onClick={() => newConversation({ temporary: !temporary })} />
      )}
      {hidden && !empty && <IconButton label={t('fresh')} icon={<NewChatIcon />} onClick={() => newConversation()} />}
    </header>
  );
}
