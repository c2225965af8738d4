/**
 * A panel that comes in from the side over a narrow window. The browser's modal dialog keeps the focus in it and closes it on Escape;
 * a finger draws it in from the window's edge and pushes it out again.
 */
import { type ReactNode, useEffect, useRef } from 'react';
import { closeDrawer, page, usePage } from '../state.ts';

/** A finger that comes down so near the edge may want the drawer. */
const EDGE = 24;
/** So far, or so fast in pixels a millisecond, and it goes on by itself. */
const FAR = 0.35;
const FAST = 0.5;

export function Drawer({ label, children }: { readonly label: string; readonly children: ReactNode }): ReactNode {
  const open = usePage((state) => state.drawer);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    if (open && element !== null && !element.open) element.showModal();
    else if (!open && element?.open === true) element.close();
  }, [open]);
  useEffect(() => {
    const element = dialog.current;
    if (element === null) return;
    return followFinger(element);
  }, []);
  return (
    <>
      <div className="library-edge" aria-hidden="true" />
      <dialog
        ref={dialog} className="library library-drawer" aria-label={label} onClose={closeDrawer}
        onPointerDown={(event) => event.target === event.currentTarget && event.clientX > event.currentTarget.getBoundingClientRect().right && event.currentTarget.close()}
      >
        {children}
      </dialog>
    </>
  );
}

/** Returns what ends it. */
function followFinger(element: HTMLDialogElement): () => void {
  let from: { x: number; y: number; at: number; opening: boolean; sideways: boolean } | null = null;
  const down = (event: TouchEvent): void => {
    const [touch] = event.touches;
    if (touch === undefined || event.touches.length !== 1) return;
    const opening = !element.open;
    from = opening && touch.clientX > EDGE ? null : { x: touch.clientX, y: touch.clientY, at: event.timeStamp, opening, sideways: false };
  };
  const move = (event: TouchEvent): void => {
    const [touch] = event.touches;
    if (from === null || touch === undefined) return;
    const x = touch.clientX - from.x;
    if (!from.sideways) {
      // A finger that goes down the list scrolls it.
      if (Math.abs(touch.clientY - from.y) > 10) from = null;
      if (from === null || Math.abs(x) < 10) return;
      from.sideways = true;
      if (from.opening) page.set({ drawer: true });
      element.dataset['dragged'] = '';
    }
    const width = element.offsetWidth;
    element.style.setProperty('--drawn', `${Math.min(0, from.opening ? x - width : x)}px`);
  };
  const up = (event: TouchEvent): void => {
    if (from === null) return;
    const { x, at, opening, sideways } = from;
    from = null;
    delete element.dataset['dragged'];
    element.style.removeProperty('--drawn');
    const [touch] = event.changedTouches;
    if (!sideways || touch === undefined) return;
    const way = (touch.clientX - x) * (opening ? 1 : -1);
    // What the browser took for itself (a scroll, a gesture of its own) was not that fast by intent.
    const meant = way > element.offsetWidth * FAR || (event.type === 'touchend' && way / Math.max(1, event.timeStamp - at) > FAST);
    if (meant !== opening) closeDrawer();
  };
  const options = { passive: true } as const;
  addEventListener('touchstart', down, options);
  addEventListener('touchmove', move, options);
  addEventListener('touchend', up, options);
  addEventListener('touchcancel', up, options);
  return () => {
    removeEventListener('touchstart', down);
    removeEventListener('touchmove', move);
    removeEventListener('touchend', up);
    removeEventListener('touchcancel', up);
  };
}
