/** One message: what it says, and what can be done with it. */
import { memo, type ReactNode, useSyncExternalStore } from 'react';
import type { TalkMessage } from '@parley/protocol';
import type { RequestError } from '../api.ts';
import { Button, IconButton } from '../components/button.tsx';
import { ChevronLeftIcon, ChevronRightIcon, GaugeIcon, PencilIcon, RefreshIcon, WarningIcon } from '../components/icons.tsx';
import { useTexts } from '../i18n.ts';
import { Markdown } from '../markdown/markdown.tsx';
import { useThread, useThreadState } from './context.ts';
import { CopyButton } from './copy-button.tsx';
import { EditMessage } from './edit-message.tsx';
import type { LiveAnswer } from './live.ts';
import { texts } from './texts.ts';
import { siblingsOf } from './tree.ts';

export interface MessageRowProps {
  readonly message: TalkMessage;
  readonly last: boolean;
  readonly measure: (id: string, element: HTMLElement | null) => void;
  /** Its place, for assistive technology that sees only the rows that are drawn. */
  readonly position: number;
  readonly count: number;
}

export const MessageRow = memo(function MessageRow({ message, last, measure, position, count }: MessageRowProps): ReactNode {
  const t = useTexts(texts);
  const { id, role } = message;
  return (
    <article
      ref={(element) => measure(id, element)} data-row={id} className={`row row-${role}`} aria-label={role === 'user' ? t('you') : t('assistant')}
      aria-posinset={position} aria-setsize={count}
    >
      {role === 'user' ? <Question message={message} last={last} /> : <Answer message={message} last={last} />}
    </article>
  );
});

function Question({ message, last }: { readonly message: TalkMessage; readonly last: boolean }): ReactNode {
  const t = useTexts(texts);
  const thread = useThread();
  const editing = useThreadState((state) => state.editing === message.id);
  const failure = useThreadState((state) => state.failures.get(message.id));
  const waiting = useThreadState((state) => state.waiting.has(message.id));
  if (editing) return <EditMessage message={message} />;
  return (
    <>
      <div className="said" dir="auto">{message.content}</div>
      <div className="row-actions">
        <Versions message={message} />
        <CopyButton text={message.content} label={t('copy')} />
        <IconButton label={t('edit')} icon={<PencilIcon />} data-action="edit" onClick={() => thread.store.set({ editing: message.id })} />
      </div>
      {waiting && <p className="thinking"><span className="dots" aria-hidden="true"><i /><i /><i /></span>{t('thinking')}</p>}
      {failure && <Failure failure={failure} title={t('notSent')} onRetry={() => void thread.retry(message.id)} />}
      {last && !waiting && !failure && (
        <div className="notice"><span>{t('unanswered')}</span><Button kind="quiet" onClick={() => void thread.retry(message.id)}>{t('answerIt')}</Button></div>
      )}
    </>
  );
}

function Answer({ message, last }: { readonly message: TalkMessage; readonly last: boolean }): ReactNode {
  const t = useTexts(texts);
  const thread = useThread();
  const live = useThreadState((state) => state.live.get(message.id));
  const shown = useThreadState((state) => state.detailsOf === message.id);
  if (live) return <LiveText live={live} />;
  const { details, status, finishReason } = message;
  const dropped = details?.droppedMessages ?? 0;
  return (
    <>
      <Markdown text={message.content} />
      {status === 'stopped' && <p className="note">{t('stopped')}</p>}
      {finishReason === 'length' && <p className="note">{t('tooLong')}</p>}
      {dropped > 0 && <p className="note">{t('dropped', { count: dropped })}</p>}
      {status === 'failed' && (
        <div className="failure" role="alert">
          <WarningIcon />
          <div><strong>{t('failed')}</strong>{details?.error && <p>{details.error.message}</p>}</div>
          <Button kind="danger" onClick={() => void thread.regenerate(message.id)}>{t('retry')}</Button>
        </div>
      )}
      <div className={last ? 'row-actions row-actions-kept' : 'row-actions'}>
        <Versions message={message} />
        <CopyButton text={message.content} label={t('copy')} />
        <IconButton label={t('regenerate')} icon={<RefreshIcon />} data-action="regenerate" onClick={() => void thread.regenerate(message.id)} />
        <IconButton
          label={t('details')} icon={<GaugeIcon />} data-action="details" aria-pressed={shown}
          onClick={() => thread.store.set({ detailsOf: shown ? null : message.id })}
        />
      </div>
    </>
  );
}

function LiveText({ live }: { readonly live: LiveAnswer }): ReactNode {
  const t = useTexts(texts);
  const text = useSyncExternalStore(live.subscribe, live.text);
  const reconnecting = useSyncExternalStore(live.subscribe, live.reconnecting);
  return (
    <div className="writing" aria-busy="true">
      {text === '' ? <p className="thinking"><span className="dots" aria-hidden="true"><i /><i /><i /></span>{t('thinking')}</p> : <Markdown text={text} growing />}
      {reconnecting && <p className="note">{t('reconnecting')}</p>}
    </div>
  );
}

/** ‹ 2/3 › where a message has siblings. */
function Versions({ message }: { readonly message: TalkMessage }): ReactNode {
  const t = useTexts(texts);
  const thread = useThread();
  const siblings = useThreadState((state) => siblingsOf(state.tree, message.id));
  if (siblings.length < 2) return null;
  const at = siblings.indexOf(message.id);
  return (
    <div className="versions" role="group" aria-label={t('version', { at: at + 1, count: siblings.length })}>
      <IconButton label={t('previous')} icon={<ChevronLeftIcon />} disabled={at === 0} onClick={() => thread.turn(message.id, -1)} />
      <span aria-hidden="true">{at + 1}/{siblings.length}</span>
      <IconButton label={t('next')} icon={<ChevronRightIcon />} disabled={at === siblings.length - 1} onClick={() => thread.turn(message.id, 1)} />
    </div>
  );
}

export function Failure({ failure, title, onRetry }: { readonly failure: RequestError; readonly title: string; readonly onRetry: () => void }): ReactNode {
  const t = useTexts(texts);
  const why = failure.unreachable ? t('unreachable') : failure.status === 429 ? t('busy') : failure.message;
  return (
    <div className="failure" role="alert">
      <WarningIcon />
      <div><strong>{title}</strong><p>{why}</p></div>
      <Button kind="danger" onClick={onRetry}>{t('retry')}</Button>
    </div>
  );
}
