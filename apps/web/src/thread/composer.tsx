/** Where people write. Enter sends, Shift + Enter goes to a new line, an input method's Enter does neither; text files can be dropped. */
import { type DragEvent, type ReactNode, useEffect, useRef, useState } from 'react';
import { IconButton } from '../components/button.tsx';
import { ArrowUpIcon, PaperclipIcon, StopIcon } from '../components/icons.tsx';
import { toast } from '../components/toast.tsx';
import { useTexts } from '../i18n.ts';
import { usePage } from '../state.ts';
import { grow, sends } from './composing.ts';
import { useThread, useThreadState } from './context.ts';
import { readDraft, writeDraft } from './drafts.ts';
import { LIMIT_BYTES, readTextFile } from './files.ts';
import { texts } from './texts.ts';
import { branchTo } from './tree.ts';

export function Composer(): ReactNode {
  const t = useTexts(texts);
  const thread = useThread();
  const conversation = usePage((state) => state.conversationId);
  const temporary = usePage((state) => state.temporary);
  const busy = useThreadState(({ tree, leaf, live, waiting }) => branchTo(tree, leaf).some(({ id }) => live.has(id) || waiting.has(id)));
  const unopened = useThreadState((state) => state.loading || state.loadError !== null);
  const [text, setText] = useState('');
  const [dragging, setDragging] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);

  useEffect(() => {
    setText(temporary ? '' : readDraft(conversation));
    // On a phone this would open the keyboard over what the person came to read.
    if (matchMedia('(pointer: fine)').matches && document.querySelector('dialog[open]') === null) area.current?.focus();
  }, [conversation, temporary]);
  useEffect(() => {
    if (area.current) grow(area.current);
  }, [text]);

  const change = (next: string): void => {
    setText(next);
    if (!temporary) writeDraft(conversation, next);
  };
  const send = (): void => {
    const words = text.trim();
    if (words === '' || busy || unopened) return;
    change('');
    void thread.send(words);
  };
  const take = async (files: readonly File[]): Promise<void> => {
    const parts: string[] = [];
    for (const file of files) {
      const read = await readTextFile(file);
      if ('text' in read) parts.push(read.text);
      else toast(t(read.problem, { name: file.name, limit: LIMIT_BYTES / 1000 }), { kind: 'error' });
    }
    if (parts.length > 0) change([area.current?.value.trimEnd() ?? '', ...parts].filter((part) => part !== '').join('\n\n'));
    area.current?.focus();
  };
  const drop = (event: DragEvent): void => {
    setDragging(false);
    if (event.dataTransfer.files.length === 0) return;
    event.preventDefault();
    void take([...event.dataTransfer.files]);
  };
  /** An empty field's arrow up goes to the last question, to say it differently. */
  const editLast = (): boolean => {
    const { tree, leaf } = thread.store.get();
    const last = branchTo(tree, leaf).findLast(({ role }) => role === 'user');
    if (last === undefined || busy) return false;
    thread.store.set({ editing: last.id });
    return true;
  };
  return (
    <form
      className={dragging ? 'composer composer-drop' : 'composer'} onSubmit={(event) => (event.preventDefault(), send())}
      onDragOver={(event) => event.dataTransfer.types.includes('Files') && (event.preventDefault(), setDragging(true))}
      onDragLeave={(event) => !event.currentTarget.contains(event.relatedTarget as Node | null) && setDragging(false)} onDrop={drop}
    >
      <div className="composer-box">
        <input
          ref={picker} type="file" multiple hidden aria-label={t('attach')} tabIndex={-1}
          onChange={(event) => {
            void take([...event.target.files ?? []]);
            event.target.value = '';
          }}
        />
        <IconButton label={t('attach')} icon={<PaperclipIcon />} onClick={() => picker.current?.click()} />
        <textarea
          ref={area} value={text} rows={1} dir="auto" aria-label={t('message')} placeholder={dragging ? t('dropHere') : t('placeholder')} enterKeyHint="send"
          onChange={(event) => change(event.target.value)}
          onKeyDown={(event) => {
            if (sends(event)) {
              event.preventDefault();
              send();
            } else if (event.key === 'Escape' && busy && !event.nativeEvent.isComposing) void thread.stop();
            else if (event.key === 'ArrowUp' && text === '' && editLast()) event.preventDefault();
          }}
        />
        {busy
          ? <IconButton key="stop" kind="primary" label={t('stop')} icon={<StopIcon />} data-action="stop" onClick={() => void thread.stop()} />
          : <IconButton key="send" kind="primary" type="submit" label={t('send')} icon={<ArrowUpIcon />} disabled={text.trim() === '' || unopened} />}
      </div>
      <p className="composer-hint"><span className="composer-keys">{t('hint')} · </span>{t('honest')}</p>
    </form>
  );
}
