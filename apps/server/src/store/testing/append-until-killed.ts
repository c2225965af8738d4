/** A process that appends messages to conversations of a store, several at once, and prints each id when the store has acknowledged it. It is killed. */
import { writeSync } from 'node:fs';
import { openStore } from '../open.ts';

const store = await openStore(process.argv[2] ?? '');
const run = process.argv[3] ?? '';
await Promise.all(Array.from({ length: 4 }, async (_, writer) => {
  const { id } = await store.conversations.create('a', { id: `c-${run}-${writer}` });
  let parentId: string | null = null;
  for (let count = 0; ; count++) {
    const question = await store.conversations.append('a', id, { parentId, role: 'user', content: `question ${count} ${'x'.repeat(count % 7 === 0 ? 5000 : 50)}` });
    writeSync(1, `${id} ${question.id}\n`);
    const answer = await store.conversations.append('a', id, { parentId: question.id, role: 'assistant', content: '', status: 'streaming' });
    await store.conversations.updateMessage('a', id, answer.id, { content: `answer ${count}`, status: 'complete' });
    writeSync(1, `${id} ${answer.id} done\n`);
    parentId = answer.id;
  }
}));
