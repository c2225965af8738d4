/** Which day it is: groups by date are drawn anew after midnight, and when a page that was asleep is looked at again. */
import { useSyncExternalStore } from 'react';

const HOUR_MS = 3_600_000;

const subscribe = (listener: () => void): (() => void) => {
  let timer: ReturnType<typeof setTimeout>;
  const wait = (): void => {
    const now = new Date();
    const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1).getTime();
    // Clocks are set and machines sleep, so no wait is long.
    timer = setTimeout(() => {
      listener();
      wait();
    }, Math.min(HOUR_MS, midnight - now.getTime() + 1000));
  };
  wait();
  document.addEventListener('visibilitychange', listener);
  return () => {
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', listener);
  };
};

/** `Mon Jun 15 2026`. */
export const useToday = (): string => useSyncExternalStore(subscribe, () => new Date().toDateString());
