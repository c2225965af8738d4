/**
 * The store with 10,000 conversations of four messages and one of 10,000: milliseconds of what the page asks for. In SQLite in a temporary
 * folder, or in the Postgres that PARLEY_TEST_POSTGRES names, in a schema of its own.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { openStore } from '../apps/server/src/store/open.ts';
import { engines } from '../apps/server/src/store/testing/databases.ts';
import { type Benchmark, figure, machine, summarize } from './harness.ts';

const CONVERSATIONS = 10_000;
const LONG = 10_000;
const OWNER = 'bench';
const SENTENCES = ['How does the weather change in spring?', '今天北京的天气怎么样？', 'Write a short poem about a lighthouse keeper.', 'Explain recursion to a child of seven.', '帮我写一封感谢信。'];

const text = (seed: number, sentences: number): string => Array.from({ length: sentences }, (_, index) => `${SENTENCES[(seed * 7 + index * 3) % SENTENCES.length] ?? ''} ${seed * 13 + index}`).join(' ');
const message = (index: number, parent: number | null) => ({ id: `m${index}`, parentId: parent === null ? null : `m${parent}`, role: index % 2 === 0 ? 'user' : 'assistant', content: text(index, index % 2 === 0 ? 2 : 8), createdAt: index });
const chain = (length: number) => Array.from({ length }, (_, index) => message(index, index === 0 ? null : index - 1));

export const benchmark: Benchmark = {
  name: 'store',
  summary: `milliseconds of the store with ${CONVERSATIONS} conversations and one of ${LONG} messages; SQLite, or the Postgres of PARLEY_TEST_POSTGRES`,
  takes: [],
  async run({ repeats }) {
    const engine = engines.at(-1);
    if (engine === undefined) throw new Error('there is always SQLite');
    await using database = await engine.make();
    await using store = await openStore(database.url);
    const { conversations } = store;
    const timed = async (run: () => Promise<unknown>, times = repeats): Promise<number[]> => {
      const samples: number[] = [];
      for (let round = 0; round < times; round++) {
        const start = performance.now();
        await run();
        samples.push(performance.now() - start);
      }
      return samples;
    };
    const long = { id: 'long', title: 'long', createdAt: 1, updatedAt: 1, activeLeaf: `m${LONG - 1}`, messages: chain(LONG) };
    const short = Array.from({ length: CONVERSATIONS }, (_, index) => ({ id: `c${index}`, title: text(index, 1), createdAt: index, updatedAt: index, activeLeaf: 'm3', messages: chain(4).map((each) => ({ ...each, content: `${each.content} ${index}` })) }));
    const [imported = 0] = await timed(async () => await conversations.importAll(OWNER, { format: 'parley-export', version: 1, conversations: [long, ...short] }), 1);
    const [again = 0] = await timed(async () => await (await openStore(database.url)).close(), 1);

    const rows: Record<string, number> = {};
    const measure = async (name: string, run: () => Promise<unknown>, times = repeats): Promise<void> => {
      await run();
      const spread = summarize(await timed(run, times));
      Object.assign(rows, figure(`${name}_ms`, spread));
      console.log(`${name.padEnd(28)} ${spread.median.toFixed(1).padStart(8)} ms (${spread.lowest.toFixed(1)} to ${spread.highest.toFixed(1)})`);
    };
    const { next } = await conversations.list(OWNER, { limit: 200 });
    await measure('list', async () => await conversations.list(OWNER));
    await measure('list_next_page', async () => await conversations.list(OWNER, { cursor: next }));
    for (const [name, search] of [['search_one', '129990'], ['search_chinese', '天气'], ['search_everywhere', 'recurs'], ['search_nothing', '天地']] as const) {
      await measure(name, async () => await conversations.list(OWNER, { search }));
    }
    await measure('messages_10000', async () => await conversations.messages(OWNER, 'long'));
    await measure('branch_10000', async () => await conversations.branch(OWNER, 'long'));
    await measure('messages_4', async () => await conversations.messages(OWNER, 'c7'));
    let parentId = `m${LONG - 1}`;
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    await measure('append', async () => void ({ id: parentId } = await conversations.append(OWNER, 'long', { parentId, role: 'user', content: text(1, 4) })), 100);
    delay.disable();
    await measure('append_16_at_once', async () => await Promise.all(Array.from({ length: 16 }, async (_, index) => await conversations.append(OWNER, `c${index}`, { parentId: null, role: 'user', content: text(1, 4) }))));
    await measure('export_50000_messages', async () => await conversations.exportAll(OWNER), 1);
    return {
      bench: 'store', engine: engine.name, ...rows, repeats, import_50000_messages_ms: Math.round(imported), open_ms: Math.round(again),
      event_loop_delay_while_appending_ms: Number((delay.max / 1e6).toFixed(1)), ...machine(),
    };
  },
};
