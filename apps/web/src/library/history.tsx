/**
 * The conversations, however many, grouped by date: only rows near the screen are in the document, pages come as they are scrolled to.
 * One row is reached by Tab; arrows, Home, End and pages move on from it, F2 renames, Delete deletes.
 */
import type { ListedConversation } from '@parley/protocol';
import { type KeyboardEvent, type ReactNode, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { Button } from '../components/button.tsx';
import { type Translate, useLanguage, useTexts } from '../i18n.ts';
import { usePage } from '../state.ts';
import { calendarLabel, groupByDate, type GroupKey } from './dates.ts';
import { HistoryRow } from './history-row.tsx';
import { conversations, removeConversation, useConversations } from './list.ts';
import { libraryTexts } from './texts.ts';
import { useElsewhere } from './elsewhere.ts';
import { useToday } from './today.ts';
import { useRowHeights } from './use-row-heights.ts';
import { offsetsOf, scrollFor, spanOf } from './virtual.ts';

type Row =
  | { readonly kind: 'group'; readonly key: GroupKey }
  | { readonly kind: 'conversation'; readonly conversation: ListedConversation; readonly position: number };

/** More are asked for when so many rows are left below what is shown. */
const AHEAD = 30;

export interface HistoryProps {
  /** Arrow up from the first row leads here. */
  readonly onLeaveUp: () => void;
}

export function History({ onLeaveUp }: HistoryProps): ReactNode {
  const t = useTexts(libraryTexts);
  const language = useLanguage();
  const { items, shown, loading, complete, archived, error } = useConversations();
  const open = usePage((state) => state.conversationId);
  const answering = usePage((state) => state.answering);
  const heights = useRowHeights();
  useElsewhere();
  const today = useToday();

  // A search is in the order of its results; by date they would be one a group.
  const rows = useMemo<readonly Row[]>(() => {
    if (shown.trim() !== '') return items.map((conversation, i) => ({ kind: 'conversation', conversation, position: i + 1 }));
    const groups = groupByDate(items, { at: ({ updatedAt }) => new Date(updatedAt), now: new Date(today) });
    const all: Row[] = [];
    for (const [before, { key, items: members }] of groups.entries()) {
      all.push({ kind: 'group', key });
      // Of what stands above, so many are headings.
      for (const conversation of members) all.push({ kind: 'conversation', conversation, position: all.length - before });
    }
    return all;
  }, [items, shown, today]);
  const offsets = useMemo(
    () => offsetsOf(rows.map((row) => (row.kind === 'group' ? heights.group : row.conversation.match === null ? heights.plain : heights.excerpt))), [rows, heights],
  );

  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 800 });
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const read = (): void => setView({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(read);
    observer.observe(element);
    element.addEventListener('scroll', read, { passive: true });
    read();
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', read);
    };
  }, []);
  useEffect(() => {
    scroller.current?.scrollTo(0, 0);
  }, [shown, archived]);
  const { start, end } = spanOf(offsets, view);
  useEffect(() => {
    if (!complete && error === null && loading === null && items.length > 0 && end > rows.length - AHEAD) void conversations.more();
  }, [complete, error, loading, items.length, end, rows.length]);

  const indexOf = (id: string | null): number => rows.findIndex((row) => row.kind === 'conversation' && row.conversation.id === id);
  const [focused, setFocused] = useState<string | null>(null);
  const [renaming, setRenaming] = useState<string | null>(null);
  let current = indexOf(focused);
  if (current < 0) current = Math.max(indexOf(open), rows.findIndex(({ kind }) => kind === 'conversation'));
  const currentRow = rows[current];
  const currentId = currentRow?.kind === 'conversation' ? currentRow.conversation.id : null;

  /** Scrolls a row into sight, and when it is drawn gives it the focus. */
  const focusRow = useCallback((index: number): void => {
    const row = rows[index];
    const element = scroller.current;
    if (row?.kind !== 'conversation' || element === null) return;
    element.scrollTop = scrollFor(offsets, index, { top: element.scrollTop, height: element.clientHeight });
    setFocused(row.conversation.id);
    requestAnimationFrame(() => element.querySelector<HTMLElement>(`[data-id="${CSS.escape(row.conversation.id)}"] a`)?.focus({ preventScroll: true }));
  }, [rows, offsets]);

  const onKeyDown = (event: KeyboardEvent): void => {
    if (currentId === null || event.nativeEvent.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!(event.target instanceof HTMLAnchorElement)) return;
    const step = (from: number, by: 1 | -1): number => {
      let to = from + by;
      while (rows[to]?.kind === 'group') to += by;
      return to;
    };
    const jump = Math.max(1, Math.floor(view.height / heights.plain) - 1);
    const to = {
      ArrowDown: () => step(current, 1), ArrowUp: () => step(current, -1), Home: () => step(-1, 1), End: () => step(rows.length, -1),
      PageDown: () => step(Math.min(rows.length, current + jump) - 1, 1), PageUp: () => step(Math.max(-1, current - jump) - 1, 1),
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      const target = to();
      if (target < 0) onLeaveUp();
      else focusRow(Math.min(target, rows.length - 1));
    } else if (event.key === 'F2') {
      event.preventDefault();
      setRenaming(currentId);
    } else if (event.key === 'Delete' || event.key === 'Backspace') {
      event.preventDefault();
      // Its neighbour takes its place; where there is none, the field above does.
      const below = step(current, 1);
      const next = below < rows.length ? below : step(current, -1);
      if (next >= 0) focusRow(next);
      else onLeaveUp();
      removeConversation(currentId);
    }
  };

  const onRenamed = useCallback((id: string, title: string | null): void => {
    setRenaming(null);
    if (title !== null) void conversations.rename(id, title);
    requestAnimationFrame(() => scroller.current?.querySelector<HTMLElement>(`[data-id="${CSS.escape(id)}"] a`)?.focus({ preventScroll: true }));
  }, []);

  const total = complete ? items.length : -1;
  const shownRows = rows.slice(start, end).map((row, i) => ({ row, index: start + i }));
  // The row with the focus stays in the document, or the focus would be lost by scrolling.
  if (currentRow !== undefined && (current < start || current >= end)) shownRows.push({ row: currentRow, index: current });
  return (
    <div
      ref={scroller} className="history-scroll" aria-busy={loading === 'first'} onKeyDown={onKeyDown}
      onFocus={(event) => setFocused(event.target.closest<HTMLElement>('[data-id]')?.dataset['id'] ?? null)}
    >
      {rows.length > 0 && (
        <ol className="history" style={{ height: offsets[rows.length] ?? 0 }}>
          {shownRows.map(({ row, index }) => (row.kind === 'group'
            ? <li key={row.key} className="history-group" style={{ top: offsets[index] ?? 0, height: heights.group }}><h3>{groupLabel(row.key, language, t)}</h3></li>
            : (
              <HistoryRow
                key={row.conversation.id} conversation={row.conversation} query={shown.trim()} top={offsets[index] ?? 0}
                height={(offsets[index + 1] ?? 0) - (offsets[index] ?? 0)} position={row.position} whole={total} open={row.conversation.id === open}
                current={row.conversation.id === currentId} answering={answering.has(row.conversation.id)} renaming={row.conversation.id === renaming}
                onRename={setRenaming} onRenamed={onRenamed}
              />
            )))}
        </ol>
      )}
      {error === null && loading === null && rows.length === 0 && <Nothing />}
      {error !== null && (
        <div className="history-note" role="alert">
          <p>{error.unreachable ? t('unreachableList') : t('failed', { reason: error.message })}</p>
          <Button kind="plain" onClick={() => void (rows.length === 0 ? conversations.load() : conversations.refresh())}>{t('again')}</Button>
        </div>
      )}
      {loading === 'more' && <p className="history-note">{t('loading')}</p>}
      {loading === 'first' && <div className="history-waiting" aria-hidden="true">{Array.from({ length: 6 }, (_, i) => <span key={i} />)}</div>}
    </div>
  );
}

function Nothing(): ReactNode {
  const t = useTexts(libraryTexts);
  const { shown, archived } = useConversations();
  const [first, hint] = shown.trim() !== '' ? [t('nothing', { query: shown.trim() }), t('nothingHint')] : archived ? [t('archiveEmpty'), t('archiveHint')] : [t('empty'), ''];
  return (
    <div className="history-note">
      <p>{first}</p>
      {hint !== '' && <p className="history-hint">{hint}</p>}
    </div>
  );
}

function groupLabel(key: GroupKey, language: string, t: Translate<'today' | 'yesterday' | 'week' | 'month'>): string {
  return key === 'today' || key === 'yesterday' || key === 'week' || key === 'month' ? t(key) : calendarLabel(key, language);
}
