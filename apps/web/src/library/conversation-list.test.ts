import type { ConversationPage, ConversationPatch, ListedConversation } from '@parley/protocol';
import { expect, test } from 'vitest';
import { type ListQuery, RequestError } from '../api.ts';
import { ConversationList } from './conversation-list.ts';

const summary = (id: string, updatedAt: number, title = id): ListedConversation => ({ id, title, createdAt: 0, updatedAt, archived: false, settings: {}, match: null });

/** A server of `count` conversations, c0 the newest, that counts what it is asked; and a clock that is turned by hand. */
function setUp(count: number) {
  let kept = Array.from({ length: count }, (_, i) => summary(`c${i}`, count - i, `title ${i}`));
  const asked: ListQuery[] = [];
  let refuse: RequestError | null = null;
  const refused: string[] = [];
  const timers = new Set<() => void>();
  const list = new ConversationList({
    api: {
      conversations: async (query = {}, signal): Promise<ConversationPage> => {
        asked.push(query);
        await Promise.resolve();
        signal?.throwIfAborted();
        if (refuse !== null) throw refuse;
        const found = kept.filter(({ title, archived }) => (query.archived === undefined || archived === query.archived) && title.includes(query.search ?? ''));
        const from = Number(query.cursor ?? 0);
        const items = found.slice(from, from + (query.limit ?? 50));
        return { items, next: from + items.length < found.length ? String(from + items.length) : null };
      },
      updateConversation: async (id, patch: ConversationPatch) => {
        if (refuse !== null) throw refuse;
        kept = kept.map((item) => (item.id === id ? { ...item, ...(patch.title !== undefined && { title: patch.title }), ...(patch.archived !== undefined && { archived: patch.archived }) } : item));
        return Promise.resolve(kept.find((item) => item.id === id) ?? summary(id, 0));
      },
      removeConversation: async (id) => {
        if (refuse !== null) throw refuse;
        kept = kept.filter((item) => item.id !== id);
        return Promise.resolve();
      },
    },
    schedule: (run) => {
      timers.add(run);
      return () => void timers.delete(run);
    },
    onRefused: (error) => void refused.push(error.message),
  });
  const tick = (): void => {
    const due = Array.from(timers);
    timers.clear();
    for (const run of due) run();
  };
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  return {
    list, asked, refused, tick, settle, kept: () => kept.map(({ id }) => id), ids: () => list.snapshot().items.map(({ id }) => id),
    /** At the newest time, made where it is not there. */
    talkIn: (id: string) => {
      const old = kept.find((item) => item.id === id) ?? summary(id, 0);
      kept = [{ ...old, updatedAt: (kept[0]?.updatedAt ?? 0) + 1 }, ...kept.filter((item) => item.id !== id)];
    },
    forget: (id: string) => {
      kept = kept.filter((item) => item.id !== id);
    },
    move: (id: string) => {
      kept = [...kept.filter((item) => item.id === id), ...kept.filter((item) => item.id !== id)];
    },
    refuse: (error: RequestError | null) => {
      refuse = error;
    },
  };
}

const BROKEN = new RequestError('no', { status: 500 });

test('pages follow each other until there are no more, each conversation once, also when one moved up between two pages', async () => {
  const { list, ids, move } = setUp(150);
  await list.load();
  expect(list.snapshot()).toMatchObject({ complete: false, loading: null });
  move('c100');
  await list.more();
  await list.more();
  await list.more();
  expect(list.snapshot().complete).toBe(true);
  expect(new Set(ids()).size).toBe(ids().length);
  expect(ids().length).toBeGreaterThanOrEqual(149);
});

test('a second page is not asked for twice', async () => {
  const { list, asked } = setUp(150);
  await list.load();
  await Promise.all([list.more(), list.more(), list.more()]);
  expect(asked).toHaveLength(2);
});

test('typing is answered once, when it rests, and an emptied field at once', async () => {
  const { list, asked, tick, settle, ids } = setUp(150);
  await list.load();
  for (const query of ['t', 'ti', 'title 14']) list.search(query);
  expect(asked).toHaveLength(1);
  tick();
  await settle();
  expect(asked.slice(1).map(({ search }) => search)).toEqual(['title 14']);
  expect(list.snapshot().shown).toBe('title 14');
  expect(ids()).toHaveLength(11);
  list.search('');
  await settle();
  expect(ids()).toHaveLength(60);
});

test('the answer to an older question does not replace that to a newer one', async () => {
  const { list, settle, ids, tick } = setUp(150);
  list.search('title 14');
  tick();
  list.search('');
  await settle();
  expect(list.snapshot().shown).toBe('');
  expect(ids()).toHaveLength(60);
});

test('what is deleted can be taken back until its time is over, and nothing was asked of the server until then', async () => {
  const { list, ids, kept, tick, settle } = setUp(3);
  await list.load();
  list.remove('c1');
  expect([ids(), kept()]).toEqual([['c0', 'c2'], ['c0', 'c1', 'c2']]);
  expect(list.undoRemove()).toEqual(['c1']);
  expect(ids()).toEqual(['c0', 'c1', 'c2']);
  tick();
  await settle();
  expect(kept()).toEqual(['c0', 'c1', 'c2']);
  list.remove('c1');
  tick();
  await settle();
  expect([ids(), kept()]).toEqual([['c0', 'c2'], ['c0', 'c2']]);
  expect(list.undoRemove()).toEqual([]);
});

test('several are deleted, and taken back, together; the time stands still while it is held', async () => {
  const { list, ids, kept, tick, settle } = setUp(4);
  await list.load();
  list.remove('c1');
  list.remove('c3');
  expect(list.snapshot().leaving).toBe(2);
  list.holdRemoval();
  tick();
  await settle();
  expect(kept()).toHaveLength(4);
  expect(list.undoRemove()).toEqual(['c1', 'c3']);
  expect(ids()).toEqual(['c0', 'c1', 'c2', 'c3']);
  list.remove('c1');
  list.remove('c3');
  list.holdRemoval();
  list.resumeRemoval();
  tick();
  await settle();
  expect([kept(), list.snapshot().leaving]).toEqual([['c0', 'c2'], 0]);
});

test('what is being deleted stays out of sight when the list is read again, and is deleted when the page is left', async () => {
  const { list, ids, kept } = setUp(3);
  await list.load();
  list.remove('c0');
  await list.load();
  expect(ids()).toEqual(['c1', 'c2']);
  await list.flush();
  expect(kept()).toEqual(['c1', 'c2']);
});

test('changes that the server refuses are taken back and said', async () => {
  const { list, ids, refused, refuse, tick, settle } = setUp(3);
  await list.load();
  refuse(BROKEN);
  await list.rename('c1', 'new');
  expect(list.snapshot().items[1]?.title).toBe('title 1');
  await list.archive('c1', true);
  expect(ids()).toEqual(['c0', 'c1', 'c2']);
  list.remove('c1');
  tick();
  await settle();
  expect(ids()).toEqual(['c0', 'c1', 'c2']);
  expect(refused).toEqual(['no', 'no', 'no']);
  await list.load();
  expect(list.snapshot().error?.message).toBe('no');
  expect(ids()).toHaveLength(3);
});

test('renaming keeps the place; archiving takes out of the list, and back in where it was', async () => {
  const { list, ids } = setUp(3);
  await list.load();
  await list.rename('c1', '  茶  ');
  expect(list.snapshot().items[1]?.title).toBe('茶');
  const [, middle] = list.snapshot().items;
  await list.archive('c1', true);
  expect(ids()).toEqual(['c0', 'c2']);
  if (middle !== undefined) await list.undoArchive(middle);
  expect(ids()).toEqual(['c0', 'c1', 'c2']);
});

test('a refresh brings what moved or came and keeps what was scrolled to', async () => {
  const { list, ids, talkIn, kept } = setUp(200);
  await list.load();
  await list.more();
  await list.more();
  expect(ids()).toHaveLength(180);
  talkIn('c150');
  talkIn('new');
  await list.refresh();
  expect(ids()).toHaveLength(181);
  expect(ids().slice(0, 3)).toEqual(['new', 'c150', 'c0']);
  await list.more();
  expect(ids()).toEqual(kept());
});

test('a refresh drops what was deleted elsewhere, and starts over where everything is new', async () => {
  const { list, ids, kept, talkIn, forget } = setUp(200);
  await list.load();
  await list.more();
  forget('c3');
  await list.refresh();
  expect(ids()).not.toContain('c3');
  for (let i = 0; i < 70; i++) talkIn(`n${i}`);
  await list.refresh();
  expect(ids()).toEqual(kept().slice(0, 60));
});

test('a search looks into the archive too, and what is archived from its results stays in them', async () => {
  const { list, ids, settle, tick } = setUp(3);
  await list.load();
  await list.archive('c1', true);
  list.search('title');
  tick();
  await settle();
  expect(ids()).toEqual(['c0', 'c1', 'c2']);
  await list.archive('c2', true);
  expect(list.snapshot().items.map(({ archived }) => archived)).toEqual([false, true, true]);
});
