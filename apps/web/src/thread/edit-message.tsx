/** A question in the place where it stands, to be said differently. */
import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { TalkMessage } from '@parley/protocol';
import { Button } from '../components/button.tsx';
import { useTexts } from '../i18n.ts';
import { grow, sends } from './composing.ts';
import { useThread } from './context.ts';
import { texts } from './texts.ts';

export function EditMessage({ message }: { readonly message: TalkMessage }): ReactNode {
  const t = useTexts(texts);
  const thread = useThread();
  const [text, setText] = useState(message.content);
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    const element = area.current;
    element?.focus();
    element?.setSelectionRange(element.value.length, element.value.length);
  }, []);
  useEffect(() => {
    if (area.current) grow(area.current);
  }, [text]);
  const close = (): void => {
    thread.store.set({ editing: null });
    // Back to where the editing was begun.
    requestAnimationFrame(() => document.querySelector<HTMLElement>(`[data-row="${CSS.escape(message.id)}"] [data-action=edit]`)?.focus());
  };
  const send = (): void => {
    if (text.trim() === '') return;
    void thread.edit(message.id, text.trim());
    document.querySelector<HTMLElement>('.composer textarea')?.focus();
  };
  return (
    <form className="edit" onSubmit={(event) => (event.preventDefault(), send())}>
      <textarea
        ref={area} value={text} aria-label={t('editLabel')} rows={1} dir="auto" onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (sends(event)) {
            event.preventDefault();
            send();
          } else if (event.key === 'Escape' && !event.nativeEvent.isComposing) {
            event.preventDefault();
            event.stopPropagation();
            close();
          }
        }}
      />
      <div className="edit-actions">
        <Button onClick={close}>{t('cancel')}</Button>
        <Button kind="primary" type="submit" disabled={text.trim() === ''}>{t('save')}</Button>
      </div>
    </form>
  );
}
