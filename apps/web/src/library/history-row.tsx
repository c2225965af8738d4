/** One conversation in the history: a link, what can be done with it, and its title as a field while it is renamed. */
import type { ListedConversation } from '@parley/protocol';
import { memo, type ReactNode, useEffect, useRef } from 'react';
import { client } from '../client.ts';
import { ArchiveIcon, DownloadIcon, MoreIcon, PencilIcon, TrashIcon } from '../components/icons.tsx';
import { Menu } from '../components/menu.tsx';
import { useTexts } from '../i18n.ts';
import { closeDrawer, conversationHref } from '../state.ts';
import { download, removeConversation, setArchived } from './list.ts';
import { Marked } from './marked.tsx';
import { excerptOf } from './match.ts';
import { libraryTexts } from './texts.ts';

export interface HistoryRowProps {
  readonly conversation: ListedConversation;
  /** What the list was searched for, '' where it was not. */
  readonly query: string;
  readonly top: number;
  readonly height: number;
  /** 1 is the first; the whole is -1 while it is not known. */
  readonly position: number;
  readonly whole: number;
  readonly open: boolean;
  /** The one row that Tab reaches; arrows go to the others. */
  readonly current: boolean;
  readonly answering: boolean;
  readonly renaming: boolean;
  readonly onRename: (id: string) => void;
  /** Null: as it was. */
  readonly onRenamed: (id: string, title: string | null) => void;
}

const MOST = 300;

export const HistoryRow = memo(function HistoryRow(props: HistoryRowProps): ReactNode {
  const { conversation, query, top, height, position, whole, open, current, answering, renaming, onRename, onRenamed } = props;
  const t = useTexts(libraryTexts);
  const { id, archived, match } = conversation;
  const title = conversation.title.trim() === '' ? t('untitled') : conversation.title;
  return (
    <li className="history-row" data-id={id} data-open={open} style={{ top, height }} aria-posinset={position} aria-setsize={whole}>
      {renaming ? <TitleField title={conversation.title} onDone={(text) => onRenamed(id, text)} /> : (
        <>
          <a className="history-link" href={conversationHref(id)} aria-current={open ? 'page' : undefined} tabIndex={current ? 0 : -1} title={title} onClick={closeDrawer}>
            <span className="history-title">
              {answering && <span className="history-answering" role="img" aria-label={t('answering')} />}
              {archived && query !== '' && <span className="history-archived" role="img" aria-label={t('isArchived')}><ArchiveIcon /></span>}
              <span className="history-words"><Marked text={title} query={query} /></span>
            </span>
            {match !== null && <span className="history-excerpt"><Marked text={excerptOf(match.text, query)} query={query} /></span>}
          </a>
          <Menu
            label={t('actions', { title })} button={<MoreIcon />} align="end" className="history-more icon-button icon-button-quiet" tabIndex={current ? 0 : -1}
            items={[
              { id: 'rename', label: t('rename'), icon: <PencilIcon />, onSelect: () => onRename(id) },
              { id: 'archive', label: archived ? t('fromArchive') : t('toArchive'), icon: <ArchiveIcon />, onSelect: () => void setArchived(conversation, !archived) },
              { id: 'markdown', label: t('asMarkdown'), icon: <DownloadIcon />, onSelect: () => download(client.conversationExportUrl(id, 'markdown')) },
              { id: 'json', label: t('asJson'), icon: <DownloadIcon />, onSelect: () => download(client.conversationExportUrl(id, 'json')) },
              { id: 'remove', label: t('remove'), icon: <TrashIcon />, danger: true, onSelect: () => removeConversation(id) },
            ]}
          />
        </>
      )}
    </li>
  );
});

/** Enter and leaving the field keep what it says, Escape does not. */
function TitleField({ title, onDone }: { readonly title: string; readonly onDone: (text: string | null) => void }): ReactNode {
  const t = useTexts(libraryTexts);
  const field = useRef<HTMLInputElement>(null);
  const done = useRef(false);
  const finish = (text: string | null): void => {
    if (done.current) return;
    done.current = true;
    onDone(text);
  };
  useEffect(() => {
    // A menu that closes gives the focus back to its button first.
    const frame = requestAnimationFrame(() => {
      field.current?.focus();
      field.current?.select();
    });
    return () => cancelAnimationFrame(frame);
  }, []);
  return (
    <input
      ref={field} className="history-rename" defaultValue={title} maxLength={MOST} aria-label={t('renameLabel')} enterKeyHint="done"
      onBlur={(event) => finish(event.currentTarget.value)}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.nativeEvent.isComposing) return;
        if (event.key === 'Enter') finish(event.currentTarget.value);
        if (event.key !== 'Escape') return;
        // The drawer is a dialog that would close on it.
        event.preventDefault();
        finish(null);
      }}
    />
  );
}
