/** The messages of the open conversation, its welcome while there are none, and the composer under them. */
import { type ReactNode, useCallback, useEffect, useMemo, useState } from 'react';
import type { TalkMessage } from '@parley/protocol';
import { Button, IconButton } from '../components/button.tsx';
import { ArrowDownIcon } from '../components/icons.tsx';
import { useTexts } from '../i18n.ts';
import { newConversation, usePage } from '../state.ts';
import { Composer } from './composer.tsx';
import { useThread, useThreadState } from './context.ts';
import { Failure, MessageRow } from './message-row.tsx';
import { texts } from './texts.ts';
import { branchTo } from './tree.ts';
import { useRows } from './use-rows.ts';
import { Welcome } from './welcome.tsx';

export function ThreadView(): ReactNode {
  const t = useTexts(texts);
  const thread = useThread();
  const tree = useThreadState((state) => state.tree);
  const leaf = useThreadState((state) => state.leaf);
  const loading = useThreadState((state) => state.loading);
  const loadError = useThreadState((state) => state.loadError);
  const title = useThreadState((state) => state.title);
  const online = usePage((state) => state.online);
  const branch = useMemo(() => branchTo(tree, leaf).filter(({ role }) => role === 'user' || role === 'assistant'), [tree, leaf]);
  const empty = branch.length === 0;
  return (
    <main className={empty && !loading && loadError === null ? 'thread thread-empty' : 'thread'} aria-label={t('conversation')}>
      {(!empty || loading || loadError !== null) && <h1 className="visually-hidden">{title === '' ? t('conversation') : title}</h1>}
      {empty
        ? (
          <div className="thread-scroll">
            {loading && <Loading />}
            {loadError && (loadError.status === 404
              ? <div className="notice notice-page"><p>{t('gone')}</p><Button kind="primary" onClick={() => newConversation()}>{t('startNew')}</Button></div>
              : <div className="notice-page"><Failure failure={loadError} title={t('openFailed')} onRetry={() => void thread.reload()} /></div>)}
            {!loading && loadError === null && <Welcome />}
          </div>
        )
        : <Messages branch={branch} />}
      {!online && <p className="offline" role="status">{t('offline')}</p>}
      <Composer />
      <Announcer />
    </main>
  );
}

/** Most conversations open before this would have been read. */
function Loading(): ReactNode {
  const t = useTexts(texts);
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 300);
    return () => clearTimeout(timer);
  }, []);
  return late ? <p className="notice-page thinking" role="status"><span className="dots" aria-hidden="true"><i /><i /><i /></span>{t('loading')}</p> : null;
}

function Messages({ branch }: { readonly branch: readonly TalkMessage[] }): ReactNode {
  const t = useTexts(texts);
  const id = useThreadState((state) => state.id);
  const first = branch[0]?.id ?? '';
  const ids = useMemo(() => branch.map((message) => message.id), [branch]);
  const estimate = useCallback((index: number) => estimateHeight(branch[index]), [branch]);
  // A conversation that has just got its id is still the same list.
  const [key, setKey] = useState(`${id ?? ''} ${first}`);
  const [seen, setSeen] = useState(id);
  if (id !== seen) {
    setSeen(id);
    if (seen !== null) setKey(`${id ?? ''} ${first}`);
  }
  const { scroller, content, range, before, after, atEnd, measure, toEnd } = useRows({ ids, estimate, key });
  const last = branch.at(-1);
  // What a person has just said is what they want to see, wherever they were.
  const lastAsked = branch.findLast(({ role }) => role === 'user')?.id;
  const [asked, setAsked] = useState(lastAsked);
  useEffect(() => {
    if (lastAsked === asked) return;
    setAsked(lastAsked);
    if (branch.length - branch.findLastIndex(({ role }) => role === 'user') <= 2) toEnd();
  }, [lastAsked, asked, branch, toEnd]);
  return (
    <div className="thread-frame">
      <div ref={scroller} className="thread-scroll" tabIndex={0} role="region" aria-label={t('conversation')}>
        <div ref={content} className="thread-content">
          {before > 0 && <div style={{ height: before }} />}
          {branch.slice(range.from, range.to).map((message, index) => (
            <MessageRow key={message.id} message={message} last={message === last} measure={measure} position={range.from + index + 1} count={branch.length} />
          ))}
          {after > 0 && <div style={{ height: after }} />}
        </div>
      </div>
      {!atEnd && <div className="to-end"><IconButton label={t('toEnd')} icon={<ArrowDownIcon />} onClick={toEnd} /></div>}
    </div>
  );
}

const estimates = new WeakMap<TalkMessage, number>();

/** Pixels, about. */
function estimateHeight(message: TalkMessage | undefined): number {
  if (message === undefined) return 100;
  const known = estimates.get(message) ?? heightOf(message);
  estimates.set(message, known);
  return known;
}

function heightOf(message: TalkMessage): number {
  const lines = message.content.split('\n').reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / 80)), 0);
  return (message.role === 'user' ? 90 : 80) + lines * 28;
}

const ANNOUNCED = 600;

/** Says that an answer began, and what it says when it is whole: not word by word. */
function Announcer(): ReactNode {
  const t = useTexts(texts);
  const writing = useThreadState((state) => state.live.size > 0);
  const announcement = useThreadState((state) => state.announcement);
  return <div className="visually-hidden" aria-live="polite">{writing ? t('answering') : announcement.slice(0, ANNOUNCED)}</div>;
}
