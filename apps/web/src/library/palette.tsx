/** A field that finds conversations and commands (WAI-ARIA combobox with a list): arrows choose, Enter goes. */
import type { ListedConversation } from '@parley/protocol';
import { type KeyboardEvent, type ReactNode, useEffect, useId, useMemo, useRef, useState } from 'react';
import { client } from '../client.ts';
import { defineTexts, useTexts } from '../i18n.ts';
import { openConversation } from '../state.ts';
import type { Command } from './commands.ts';
import { useConversations } from './list.ts';
import { Pieces } from './marked.tsx';
import { excerptOf, fuzzy, type Piece, piecesOf } from './match.ts';
import { isApple, keyLabels } from './shortcuts.ts';

const texts = defineTexts({
  label: 'Find a conversation or a command', placeholder: 'Find a conversation or a command…', commands: 'Commands', conversations: 'Conversations', nothing: 'Nothing found', untitled: 'Untitled',
}, {
  label: '查找对话或命令', placeholder: '查找对话或命令…', commands: '命令', conversations: '对话', nothing: '没有找到', untitled: '无标题',
});

interface Entry {
  readonly id: string;
  readonly group: 'commands' | 'conversations';
  readonly pieces: readonly Piece[];
  readonly excerpt?: readonly Piece[];
  readonly keys?: string;
  readonly run: () => void;
}

const RECENT = 5;
const MOST = 8;
const SEARCH_MS = 150;

export function Palette({ open, onClose, commands }: { readonly open: boolean; readonly onClose: () => void; readonly commands: readonly Command[] }): ReactNode {
  const t = useTexts(texts);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    if (open && element !== null && !element.open) element.showModal();
    else if (!open && element?.open === true) element.close();
  }, [open]);
  return (
    <dialog
      ref={dialog} className="palette" aria-label={t('label')} onClose={onClose}
      onPointerDown={(event) => event.target === event.currentTarget && event.currentTarget.close()}
    >
      {open && <Finder commands={commands} onClose={() => dialog.current?.close()} />}
    </dialog>
  );
}

function Finder({ commands, onClose }: { readonly commands: readonly Command[]; readonly onClose: () => void }): ReactNode {
  const t = useTexts(texts);
  const id = useId();
  const [query, setQuery] = useState('');
  const [chosen, setChosen] = useState(0);
  const { items } = useConversations();
  const found = useFound(query);
  const list = useRef<HTMLDivElement>(null);

  const entries = useMemo<readonly Entry[]>(() => {
    const plain = query.trim() === '';
    const doable = commands.flatMap((command) => {
      const fit = command.id === 'palette' ? undefined : fuzzy(command.label, query);
      return fit === undefined ? [] : [{ command, fit }];
    });
    if (!plain) doable.sort((a, b) => b.fit.score - a.fit.score);
    const titled = (conversation: ListedConversation): string => (conversation.title.trim() === '' ? t('untitled') : conversation.title);
    const conversation = (entry: ListedConversation): Entry => ({
      id: entry.id, group: 'conversations', pieces: piecesOf(titled(entry), query), run: () => openConversation(entry.id),
      ...(entry.match !== null && { excerpt: piecesOf(excerptOf(entry.match.text, query), query) }),
    });
    // What is here already is there at once; the server's answer, which knows the messages, takes its place.
    const here = plain ? items.slice(0, RECENT) : (found ?? items.filter(({ title }) => piecesOf(title, query).some(({ hit }) => hit)));
    const doing = doable.map(({ command, fit }): Entry => ({
      id: command.id, group: 'commands', pieces: fit.pieces, run: command.run, ...(command.keys !== undefined && { keys: command.keys }),
    }));
    return [...here.slice(0, plain ? RECENT : MOST).map(conversation), ...doing.slice(0, plain ? undefined : MOST)];
  }, [commands, query, found, items, t]);

  const at = Math.min(chosen, Math.max(0, entries.length - 1));
  useEffect(() => {
    list.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' });
  }, [at, entries]);
  const go = (entry: Entry | undefined): void => {
    if (entry === undefined) return;
    onClose();
    // The dialog gives the focus back first; what runs may want it elsewhere.
    requestAnimationFrame(entry.run);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.nativeEvent.isComposing) return;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 5, PageUp: at - 5 }[event.key];
    if (to !== undefined && entries.length > 0) {
      event.preventDefault();
      setChosen(event.key.startsWith('Page') ? Math.max(0, Math.min(entries.length - 1, to)) : (to + entries.length) % entries.length);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      go(entries[at]);
    }
  };
  const apple = isApple(navigator.platform);
  const groups = (['conversations', 'commands'] as const).map((group) => ({ group, entries: entries.filter((entry) => entry.group === group) })).filter((group) => group.entries.length > 0);
  return (
    <>
      <input
        className="palette-field" role="combobox" aria-label={t('label')} aria-expanded={entries.length > 0} aria-controls={`${id}-list`} aria-autocomplete="list"
        aria-activedescendant={entries.length > 0 ? `${id}-${at}` : undefined} placeholder={t('placeholder')} autoComplete="off" spellCheck={false} value={query}
        onChange={(event) => {
          setQuery(event.currentTarget.value);
          setChosen(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div ref={list} id={`${id}-list`} className="palette-list" role="listbox" aria-label={t('label')} tabIndex={-1}>
        {groups.map(({ group, entries: members }) => (
          <div key={group} role="group" aria-label={t(group)}>
            <div className="palette-group" aria-hidden="true">{t(group)}</div>
            {members.map((entry) => {
              const index = entries.indexOf(entry);
              return (
                <button
                  key={entry.id} id={`${id}-${index}`} type="button" role="option" aria-selected={index === at} tabIndex={-1} className="palette-entry"
                  onPointerMove={() => setChosen(index)} onPointerDown={(event) => event.preventDefault()} onClick={() => go(entry)}
                >
                  <span className="palette-words">
                    <span className="palette-title"><Pieces pieces={entry.pieces} /></span>
                    {entry.excerpt !== undefined && <span className="palette-excerpt"><Pieces pieces={entry.excerpt} /></span>}
                  </span>
                  {entry.keys !== undefined && <span className="keys-stroke" aria-hidden="true">{keyLabels(entry.keys, apple).map((part) => <kbd key={part}>{part}</kbd>)}</span>}
                </button>
              );
            })}
          </div>
        ))}
      </div>
      <p className={entries.length === 0 ? 'palette-nothing' : 'visually-hidden'} role="status">{entries.length === 0 ? t('nothing') : ''}</p>
    </>
  );
}

/** What the server finds in titles and messages; null until it has answered this very query. */
function useFound(query: string): readonly ListedConversation[] | null {
  const [answer, setAnswer] = useState<{ readonly query: string; readonly items: readonly ListedConversation[] } | null>(null);
  const search = query.trim();
  useEffect(() => {
    if (search === '') return;
    const request = new AbortController();
    const timer = setTimeout(() => {
      client.conversations({ search, limit: MOST }, request.signal).then(({ items }) => setAnswer({ query: search, items }), () => {
        // Without the server there are still the titles that are here; the history says what is wrong.
      });
    }, SEARCH_MS);
    return () => {
      clearTimeout(timer);
      request.abort();
    };
  }, [search]);
  return answer !== null && answer.query === search ? answer.items : null;
}
