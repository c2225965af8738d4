/** How an answer was written: its speed and its seed, and word by word what the model thought of saying instead. */
import { type KeyboardEvent, type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import type { TalkMessage, TokenDetail } from '@parley/protocol';
import { type RequestError, toRequestError } from '../api.ts';
import { IconButton } from '../components/button.tsx';
import { Dialog } from '../components/dialog.tsx';
import { CloseIcon } from '../components/icons.tsx';
import { defineTexts, useLanguage, useTexts } from '../i18n.ts';
import { useThread, useThreadState } from './context.ts';
import { Failure } from './message-row.tsx';
import { percent, probabilityOf, sureness, visible } from './probability.ts';
import { useMedia } from './use-media.ts';

const texts = defineTexts({
  title: 'How this was written',
  close: 'Close',
  model: 'Model',
  speed: 'Speed',
  perSecond: '{count} tokens a second',
  first: 'First word after',
  milliseconds: '{count} ms',
  seconds: '{count} s',
  tokens: 'Tokens',
  tokenCounts: '{completion} written, {prompt} read',
  cached: '{count} of those remembered',
  seed: 'Seed',
  ended: 'Ended',
  stop: 'by itself',
  length: 'at the limit of length',
  stopped: 'was stopped',
  failed: 'with an error',
  parameters: 'Parameters',
  words: 'Word by word',
  explain: 'The colour tells how sure the model was. Choose a word to see what else it considered.',
  sure: 'sure',
  surprised: 'a surprise',
  chosen: 'What came here',
  part: 'part of a character',
  end: 'the end',
  notAmong: 'Drawn from further down the list',
  none: 'Nothing was kept word by word for this answer.',
  loading: 'Fetching…',
  error: 'The details could not be fetched.',
}, {
  title: '这是怎么写出来的',
  close: '关闭',
  model: '模型',
  speed: '速度',
  perSecond: '每秒 {count} 个词元',
  first: '首字用时',
  milliseconds: '{count} 毫秒',
  seconds: '{count} 秒',
  tokens: '词元',
  tokenCounts: '写了 {completion} 个，读了 {prompt} 个',
  cached: '其中 {count} 个来自缓存',
  seed: '种子',
  ended: '结束方式',
  stop: '自己写完',
  length: '到了长度上限',
  stopped: '被停止',
  failed: '出错',
  parameters: '参数',
  words: '逐词查看',
  explain: '颜色表示模型有多确定。选一个词，看看它还考虑过什么。',
  sure: '确定',
  surprised: '意外',
  chosen: '这里写的是',
  part: '字符的一部分',
  end: '结束',
  notAmong: '从更靠后的候选里抽到',
  none: '这个回答没有保存逐词的记录。',
  loading: '正在获取…',
  error: '没能取到详情。',
});

/** Beside the thread where there is room, else over it. */
export function Details(): ReactNode {
  const t = useTexts(texts);
  const thread = useThread();
  const id = useThreadState((state) => state.detailsOf);
  const wide = useMedia('(min-width: 68rem)');
  const close = (): void => {
    thread.store.set({ detailsOf: null });
    if (id !== null) document.querySelector<HTMLElement>(`[data-row="${CSS.escape(id)}"] [data-action=details]`)?.focus();
  };
  if (!wide) return <Dialog title={t('title')} open={id !== null} onClose={close} shape="side">{id !== null && <Facts key={id} id={id} />}</Dialog>;
  if (id === null) return null;
  return (
    <aside className="details" aria-label={t('title')} onKeyDown={(event) => event.key === 'Escape' && close()}>
      <header className="details-header">
        <h2>{t('title')}</h2>
        <IconButton label={t('close')} icon={<CloseIcon />} onClick={close} />
      </header>
      <div className="details-body"><Facts key={id} id={id} /></div>
    </aside>
  );
}

function Facts({ id }: { readonly id: string }): ReactNode {
  const t = useTexts(texts);
  const thread = useThread();
  const [message, setMessage] = useState<TalkMessage | null>(null);
  const [error, setError] = useState<RequestError | null>(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    setError(null);
    thread.details(id, abort.signal).then(setMessage, (failure: unknown) => !abort.signal.aborted && setError(toRequestError(failure)));
    return () => abort.abort();
  }, [thread, id, attempt]);
  if (error) return <Failure failure={error} title={t('error')} onRetry={() => setAttempt(attempt + 1)} />;
  if (message === null) return <p className="note" role="status">{t('loading')}</p>;
  const { details = {}, usage, status, finishReason, model } = message;
  const { tokensPerSecond, timeToFirstTokenMs, seed, tokens = [], parameters } = details;
  const settings = Object.entries(parameters ?? {}).filter(([name]) => name !== 'system' && name !== 'seed');
  const facts: readonly (readonly [string, string] | undefined)[] = [
    model === undefined ? undefined : [t('model'), model],
    tokensPerSecond === undefined ? undefined : [t('speed'), t('perSecond', { count: rounded(tokensPerSecond) })],
    timeToFirstTokenMs === undefined ? undefined : [t('first'), timeToFirstTokenMs < 1000
      ? t('milliseconds', { count: Math.round(timeToFirstTokenMs) })
      : t('seconds', { count: rounded(timeToFirstTokenMs / 1000) })],
    usage && [t('tokens'), [t('tokenCounts', { completion: usage.completionTokens, prompt: usage.promptTokens }), ...(usage.cachedTokens > 0 ? [t('cached', { count: usage.cachedTokens })] : [])].join('\n')],
    [t('ended'), t(status === 'stopped' || status === 'failed' ? status : finishReason ?? 'stop')],
    seed === undefined ? undefined : [t('seed'), String(seed)],
    settings.length === 0 ? undefined : [t('parameters'), settings.map(([name, value]) => `${name} ${JSON.stringify(value)}`).join('\n')],
  ];
  return (
    <>
      <dl className="facts">
        {facts.flatMap((fact) => (fact ? [<div key={fact[0]}><dt>{fact[0]}</dt><dd>{fact[1]}</dd></div>] : []))}
      </dl>
      <h3 className="details-heading">{t('words')}</h3>
      {tokens.length === 0 ? <p className="note">{t('none')}</p> : <Words tokens={tokens} />}
    </>
  );
}

const rounded = (value: number): number => (value >= 10 ? Math.round(value) : Math.round(value * 10) / 10);

/** One stop for Tab; the arrows go from word to word. Pointing shows, clicking and going there keep. */
function Words({ tokens }: { readonly tokens: readonly TokenDetail[] }): ReactNode {
  const t = useTexts(texts);
  const [kept, setKept] = useState(() => mostSurprising(tokens));
  const [pointed, setPointed] = useState<number | null>(null);
  const box = useRef<HTMLDivElement>(null);
  const at = pointed ?? kept;
  const onKeyDown = (event: KeyboardEvent): void => {
    const to = { ArrowRight: kept + 1, ArrowLeft: kept - 1, Home: 0, End: tokens.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(tokens.length - 1, to));
    setKept(next);
    box.current?.querySelector<HTMLElement>(`[data-token="${next}"]`)?.focus();
  };
  const words = useMemo(() => tokens.map(([text, logprob], index) => (
    <Word key={index} text={text} end={text === '' && index === tokens.length - 1} logprob={logprob} index={index} chosen={index === kept} onPick={setKept} onPoint={setPointed} />
  )), [tokens, kept]);
  return (
    <>
      <p className="note">{t('explain')}</p>
      <div className="legend" aria-hidden="true"><span>{t('surprised')}</span>{[0, 1, 2, 3, 4, 5].map((step) => <i key={step} className={`sure-${step}`} />)}<span>{t('sure')}</span></div>
      <div ref={box} className="words" role="group" aria-label={t('words')} onKeyDown={onKeyDown} onPointerLeave={() => setPointed(null)}>{words}</div>
      <RunnersUp token={tokens[at]} end={at === tokens.length - 1} />
    </>
  );
}

/** A first look at something worth seeing. */
function mostSurprising(tokens: readonly TokenDetail[]): number {
  let best = 0;
  for (const [index, [, logprob]] of tokens.entries()) if ((logprob ?? 0) < (tokens[best]?.[1] ?? 0)) best = index;
  return best;
}

interface WordProps {
  readonly text: string;
  /** The token that ends the answer, which has no text. */
  readonly end: boolean;
  readonly logprob: number | null;
  readonly index: number;
  readonly chosen: boolean;
  readonly onPick: (index: number) => void;
  readonly onPoint: (index: number) => void;
}

function Word({ text, end, logprob, index, chosen, onPick, onPoint }: WordProps): ReactNode {
  const t = useTexts(texts);
  const name = end ? t('end') : text === '' ? t('part') : visible(text);
  const shown = text.replace(/\n/g, '');
  return (
    <>
      <button
        type="button" data-token={index} className={`word sure-${sureness(logprob)}`} tabIndex={chosen ? 0 : -1} aria-pressed={chosen}
        aria-label={logprob === null ? name : `${name} ${percent(probabilityOf(logprob))}`} onClick={() => onPick(index)} onPointerEnter={() => onPoint(index)} onFocus={() => onPick(index)}
      >
        {end ? <span className="word-end">{t('end')}</span> : text === '' ? '▫' : shown === '' ? '↵' : shown}
      </button>
      {text.includes('\n') && <br />}
    </>
  );
}

function RunnersUp({ token, end }: { readonly token: TokenDetail | undefined; readonly end: boolean }): ReactNode {
  const t = useTexts(texts);
  const language = useLanguage();
  if (token === undefined) return null;
  const [text, logprob, top] = token;
  const nameless = t(end && text === '' ? 'end' : 'part');
  const among = top.some(([other]) => other === text);
  const rows = among || logprob === null ? top : [...top, [text, logprob] as const];
  return (
    <div className="runners" role="group" aria-label={`${t('chosen')} ${text === '' ? nameless : text}`} lang={language === 'zh' ? 'zh-CN' : 'en'}>
      <ol>
        {rows.map(([other, value], index) => {
          const probability = probabilityOf(value);
          return (
            <li key={`${index} ${other}`} className={other === text ? 'runner runner-chosen' : 'runner'} aria-current={other === text ? 'true' : undefined}>
              <span className="runner-word">{other === '' ? nameless : visible(other)}</span>
              <span className="runner-bar" aria-hidden="true"><i style={{ width: `${Math.max(0.5, probability * 100)}%` }} /></span>
              <span className="runner-percent">{percent(probability)}</span>
            </li>
          );
        })}
      </ol>
      {!among && <p className="note">{t('notAmong')}</p>}
    </div>
  );
}
