/** Answers that are being written in conversations that were left: the thread no longer follows them, so somebody asks now and then. */
import { useEffect } from 'react';
import { client } from '../client.ts';
import { conversationsChanged, page, setAnswering, usePage } from '../state.ts';

const EVERY_MS = 3000;

export function useElsewhere(): void {
  const some = usePage(({ answering, conversationId }) => [...answering.keys()].some((id) => id !== conversationId));
  useEffect(() => {
    if (!some) return;
    const timer = setInterval(() => void ask(), EVERY_MS);
    return () => clearInterval(timer);
  }, [some]);
}

async function ask(): Promise<void> {
  const { answering, conversationId } = page.get();
  await Promise.all([...answering].map(async ([id, messageId]) => {
    if (id === conversationId) return;
    try {
      const { status } = await client.message(id, messageId);
      if (status === 'streaming') return;
    } catch {
      // Deleted, or out of reach: a light that may be wrong is worse than none.
    }
    setAnswering(id, null);
    conversationsChanged();
  }));
}
