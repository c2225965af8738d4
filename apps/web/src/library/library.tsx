/** The history: a sidebar where the window is wide, a drawer over the thread where it is narrow. */
import './library.css';
import { type ReactNode, useEffect, useRef } from 'react';
import { Button, IconButton } from '../components/button.tsx';
import { ArchiveIcon, ChevronLeftIcon, CloseIcon, NewChatIcon, SearchIcon, SettingsIcon, SidebarIcon } from '../components/icons.tsx';
import { useTexts } from '../i18n.ts';
import { closeDrawer, newConversation, openSettings, setPreferences, useStore, usePage } from '../state.ts';
import { CommandCenter } from './command-center.tsx';
import { useCounted } from './counted.ts';
import { Drawer } from './drawer.tsx';
import { History } from './history.tsx';
import { conversations, notices, notify, undoRemove, useConversations } from './list.ts';
import { useNarrow } from './narrow.ts';
import { libraryTexts } from './texts.ts';

export function Library(): ReactNode {
  const t = useTexts(libraryTexts);
  const narrow = useNarrow();
  const sidebar = usePage((state) => state.preferences.sidebar);
  const signedOut = usePage(({ session }) => session === null || (session.signInRequired && session.user === null));
  const version = usePage((state) => state.conversationsVersion);

  useEffect(() => {
    if (!signedOut) void conversations.refresh();
  }, [signedOut, version]);
  useEffect(() => {
    // Another tab or another device may have talked meanwhile.
    const seen = (): void => {
      if (document.visibilityState === 'visible' && !signedOut) void conversations.refresh();
    };
    const leave = (): void => void conversations.flush();
    document.addEventListener('visibilitychange', seen);
    addEventListener('pagehide', leave);
    return () => {
      document.removeEventListener('visibilitychange', seen);
      removeEventListener('pagehide', leave);
    };
  }, [signedOut]);

  if (signedOut) return null;
  return (
    <>
      {narrow
        ? <Drawer label={t('history')}><Content /></Drawer>
        : sidebar && <aside className="library" aria-label={t('history')}><Content /></aside>}
      <CommandCenter />
    </>
  );
}

function Content(): ReactNode {
  const t = useTexts(libraryTexts);
  const narrow = useNarrow();
  const { archived } = useConversations();
  const search = useRef<HTMLInputElement>(null);
  const close = narrow ? t('closeDrawer') : t('closeSidebar');
  return (
    <>
      <header className="library-header">
        <span className="library-name">Parley</span>
        <IconButton
          label={close} icon={narrow ? <CloseIcon /> : <SidebarIcon />}
          onClick={(event) => (narrow ? event.currentTarget.closest('dialog')?.close() : hideSidebar())}
        />
      </header>
      <Button className="library-new" onClick={() => newConversation()}><NewChatIcon />{t('newChat')}</Button>
      <SearchField field={search} />
      {archived
        ? (
          <div className="library-archive">
            <IconButton label={t('backFromArchive')} icon={<ChevronLeftIcon />} onClick={() => conversations.showArchived(false)} />
            <h2>{t('archive')}</h2>
          </div>
        )
        : <h2 className="visually-hidden">{t('conversations')}</h2>}
      <History onLeaveUp={() => search.current?.focus()} />
      <NoticeLine />
      <footer className="library-footer">
        {!archived && <button type="button" className="library-entry" onClick={() => conversations.showArchived(true)}><ArchiveIcon />{t('archive')}</button>}
        <button type="button" className="library-entry" onClick={() => { closeDrawer(); openSettings(); }}><SettingsIcon />{t('settings')}</button>
      </footer>
    </>
  );
}

/** The focus goes where the sidebar can be shown again. */
function hideSidebar(): void {
  setPreferences({ sidebar: false });
  requestAnimationFrame(() => document.querySelector<HTMLElement>('.header button')?.focus());
}

function SearchField({ field }: { readonly field: React.RefObject<HTMLInputElement | null> }): ReactNode {
  const t = useTexts(libraryTexts);
  const count = useCounted(libraryTexts);
  const { query, shown, items, complete, loading } = useConversations();
  const composing = useRef(false);
  const found = shown.trim() === '' || loading === 'again' || loading === 'first' ? '' : complete ? count('found', items.length) : t('foundMore', { count: items.length });
  return (
    <search className="library-search">
      <SearchIcon />
      <input
        ref={field} type="text" role="searchbox" className="library-search-field" aria-label={t('search')} placeholder={t('search')} defaultValue={query} autoComplete="off"
        spellCheck={false} enterKeyHint="search" data-library-search=""
        // While an input method is choosing characters, what stands in the field is not what is looked for.
        onCompositionStart={() => { composing.current = true; }}
        onCompositionEnd={(event) => {
          composing.current = false;
          conversations.search(event.currentTarget.value);
        }}
        onChange={(event) => composing.current || conversations.search(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === 'Escape' && event.currentTarget.value !== '') {
            event.preventDefault();
            event.stopPropagation();
            clear(field.current);
          }
          if (event.key !== 'ArrowDown') return;
          event.preventDefault();
          event.currentTarget.closest('.library')?.querySelector<HTMLElement>('.history-link[tabindex="0"]')?.focus();
        }}
      />
      {query !== '' && <IconButton label={t('clear')} icon={<CloseIcon />} onClick={() => clear(field.current)} />}
      <span className="visually-hidden" role="status">{found}</span>
    </search>
  );
}

function clear(field: HTMLInputElement | null): void {
  if (field !== null) {
    field.value = '';
    field.focus();
  }
  conversations.search('');
}

/** What was just done, and how to take it back. It is here and not among the page's notes because the drawer lies over those. */
function NoticeLine(): ReactNode {
  const t = useTexts(libraryTexts);
  const count = useCounted(libraryTexts);
  const { leaving } = useConversations();
  const notice = useStore(notices, (state) => state.notice);
  const text = leaving > 0 ? count('deleted', leaving)
    : notice === null ? ''
      : notice.kind !== 'refused' ? t(notice.kind)
        : notice.error.unreachable ? t('unreachable') : t('refused', { reason: notice.error.message });
  const undo = leaving > 0 ? undoRemove : notice?.kind === 'archived' || notice?.kind === 'unarchived' ? notice.undo : null;
  return (
    <div
      className="library-notice" data-shown={text !== ''} data-kind={leaving === 0 && notice?.kind === 'refused' ? 'error' : 'note'}
      onPointerEnter={() => conversations.holdRemoval()} onPointerLeave={() => conversations.resumeRemoval()}
      onFocus={() => conversations.holdRemoval()} onBlur={() => conversations.resumeRemoval()}
    >
      <span role="status">{text}</span>
      {text !== '' && <Button kind="quiet" onClick={undo ?? (() => notify(null))}>{undo === null ? t('dismiss') : t('undo')}</Button>}
    </div>
  );
}
