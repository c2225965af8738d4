/** The page's one open thread, for its parts. */
import { createContext, useContext } from 'react';
import { useStore } from '../state.ts';
import type { Thread, ThreadState } from './thread.ts';

export const ThreadContext = createContext<Thread | null>(null);

export function useThread(): Thread {
  const thread = useContext(ThreadContext);
  if (thread === null) throw new Error('parts of a thread are drawn inside <ThreadContext value={thread}>');
  return thread;
}

export const useThreadState = <S>(select: (state: ThreadState) => S): S => useStore(useThread().store, select);
