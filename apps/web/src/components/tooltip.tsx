/** A few words beside what the pointer rests on or the focus is on. They repeat the control's name, so assistive technology is not told them. */
import { type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { place } from './place.ts';

const DELAY_MS = 450;

export function Tooltip({ text, children }: { readonly text: string; readonly children: ReactNode }): ReactNode {
  const anchor = useRef<HTMLSpanElement>(null);
  const bubble = useRef<HTMLDivElement>(null);
  const [shown, setShown] = useState(false);
  const timer = useRef<number>(undefined);
  const id = useId();
  const show = (): void => {
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setShown(true), DELAY_MS);
  };
  const hide = (): void => {
    clearTimeout(timer.current);
    setShown(false);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    const target = anchor.current?.firstElementChild;
    if (!shown || !bubble.current || !target) return;
    bubble.current.showPopover?.();
    place(bubble.current, target, 'center');
  }, [shown]);
  return (
    <span
      ref={anchor} className="tooltip-anchor" onPointerEnter={(event) => event.pointerType === 'mouse' && show()} onPointerLeave={hide} onPointerDown={hide}
      onFocus={(event) => event.target.matches(':focus-visible') && show()} onBlur={hide} onKeyDown={(event) => event.key === 'Escape' && hide()}
    >
      {children}
      {shown && <div ref={bubble} id={id} className="tooltip" popover="manual" aria-hidden="true">{text}</div>}
    </span>
  );
}
