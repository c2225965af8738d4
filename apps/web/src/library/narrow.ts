/** Whether the window is too narrow for the history beside the thread; the same width stands in library.css. */
import { useSyncExternalStore } from 'react';

const query = (): MediaQueryList => matchMedia('(max-width: 47.99rem)');

export const isNarrow = (): boolean => query().matches;

export const useNarrow = (): boolean => useSyncExternalStore((listener) => {
  const media = query();
  media.addEventListener('change', listener);
  return () => media.removeEventListener('change', listener);
}, isNarrow);
