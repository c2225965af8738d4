/** Short notes that come and go at the foot of the page: `toast(t('archived'), { action: { label: t('undo'), run } })`. */
import { type ReactNode, useEffect } from 'react';
import { createStore, useStore } from '../state.ts';
import { Button } from './button.tsx';

export interface ToastOptions {
  readonly kind?: 'note' | 'error';
  readonly action?: { readonly label: string; readonly run: () => void };
}

interface Toast extends ToastOptions {
  readonly id: number;
  readonly text: string;
}

const SHOWN_MS = 5000;
const toasts = createStore<{ readonly list: readonly Toast[] }>({ list: [] });
let last = 0;

export function toast(text: string, options: ToastOptions = {}): void {
  toasts.set(({ list }) => ({ list: [...list.slice(-2), { ...options, id: ++last, text }] }));
}

const dismiss = (id: number): void => toasts.set(({ list }) => ({ list: list.filter((each) => each.id !== id) }));

/** Mounted once. */
export function Toasts(): ReactNode {
  const list = useStore(toasts, (state) => state.list);
  return <div className="toasts" role="status">{list.map((each) => <ToastLine key={each.id} {...each} />)}</div>;
}

function ToastLine({ id, text, kind = 'note', action }: Toast): ReactNode {
  useEffect(() => {
    // Those that can be acted on stay twice as long: reaching them takes time.
    const timer = setTimeout(() => dismiss(id), action ? 2 * SHOWN_MS : SHOWN_MS);
    return () => clearTimeout(timer);
  }, [id, action]);
  return (
    <div className={`toast toast-${kind}`}>
      <span>{text}</span>
      {action && <Button kind="quiet" onClick={() => { dismiss(id); action.run(); }}>{action.label}</Button>}
    </div>
  );
}
