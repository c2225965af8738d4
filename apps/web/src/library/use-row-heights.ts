/** Heights of rows in pixels, by the size of text and how the page is touched. Rows are placed by them, so the style sheet repeats none. */
import { useMemo, useSyncExternalStore } from 'react';

export interface RowHeights {
  readonly group: number;
  readonly plain: number;
  /** With a line of the message that was found. */
  readonly excerpt: number;
}

const coarse = (): MediaQueryList => matchMedia('(pointer: coarse)');

const subscribe = (listener: () => void): (() => void) => {
  const query = coarse();
  query.addEventListener('change', listener);
  // A changed size of text changes the root's height only where lines wrap; the width of a window changes with zoom.
  addEventListener('resize', listener);
  return () => {
    query.removeEventListener('change', listener);
    removeEventListener('resize', listener);
  };
};

export function useRowHeights(): RowHeights {
  const rem = useSyncExternalStore(subscribe, () => Number.parseFloat(getComputedStyle(document.documentElement).fontSize) || 16);
  const touch = useSyncExternalStore(subscribe, () => coarse().matches);
  return useMemo(() => {
    const plain = (touch ? 2.75 : 2.25) * rem;
    return { group: 2.25 * rem, plain, excerpt: plain + 1.375 * rem };
  }, [rem, touch]);
}
