/** Random appends, edits, switches of branch and deletions against a plain model of the tree, over each database. */
import { describe, expect, test } from 'vitest';
import { emptyStore, engines } from './testing/databases.ts';
import { type Message, StoreError } from './types.ts';

/** Mulberry32: the same seed, the same walk. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

interface Node {
  readonly id: string;
  readonly parentId: string | null;
  content: string;
}

/** The slow, obvious tree: a list in the order of appending. */
class Model {
  nodes: Node[] = [];
  activeLeaf: string | null = null;

  branch(leaf = this.activeLeaf): string[] {
    const path: string[] = [];
    for (let at = leaf; at !== null;) {
      path.unshift(at);
      at = this.nodes.find(({ id }) => id === at)?.parentId ?? null;
    }
    return path;
  }

  below(id: string): Set<string> {
    const found = new Set([id]);
    for (const node of this.nodes) if (node.parentId !== null && found.has(node.parentId)) found.add(node.id);
    return found;
  }

  remove(id: string): void {
    const gone = this.below(id);
    const parent = this.nodes.find((node) => node.id === id)?.parentId ?? null;
    this.nodes = this.nodes.filter((node) => !gone.has(node.id));
    if (this.activeLeaf === null || !gone.has(this.activeLeaf)) return;
    const rest = parent === null ? null : this.below(parent);
    this.activeLeaf = this.nodes.findLast((node) => rest === null || rest.has(node.id))?.id ?? null;
  }
}

describe.each(engines)('$name', (engine) => {
  test.each([1, 2, 3])('150 random steps leave the tree of the model, seed %i', async (seed) => {
    await using opened = await emptyStore(engine);
    const { conversations } = opened.store;
    const owner = 'a';
    const { id } = await conversations.create(owner);
    // Of another conversation with the same ids, which has to stay as it is.
    const other = await conversations.create(owner);
    const draw = random(seed);
    const model = new Model();
    const pick = (): Node | undefined => model.nodes[draw(Math.max(1, model.nodes.length))];
    for (let step = 0; step < 150; step++) {
      const node = pick();
      const kind = draw(100);
      let answered: unknown = null;
      let expected: unknown = null;
      if (node === undefined || kind < 45) {
        // On at the end of what is shown, mostly; otherwise a sibling somewhere: an edit, or an answer made anew.
        const parentId = draw(10) < 7 ? model.activeLeaf : (node?.parentId ?? null);
        const activate = draw(10) < 9;
        const message = await conversations.append(owner, id, { id: `m${step}`, parentId, role: draw(2) === 0 ? 'user' : 'assistant', content: `text ${step}`, activate });
        await conversations.append(owner, other.id, { id: message.id, parentId: null, role: 'user', content: 'other' });
        model.nodes.push({ id: message.id, parentId, content: message.content });
        if (activate) model.activeLeaf = message.id;
      } else if (kind < 60) {
        node.content = `edited ${step}`;
        await conversations.updateMessage(owner, id, node.id, { content: node.content });
      } else if (kind < 78) {
        model.activeLeaf = draw(20) === 0 ? null : node.id;
        await conversations.update(owner, id, { activeLeaf: model.activeLeaf });
      } else if (kind < 90) {
        model.remove(node.id);
        [answered, expected] = [await conversations.removeMessage(owner, id, node.id), true];
      } else if (kind < 95) {
        [answered, expected] = [(await conversations.branch(owner, id, node.id)).map((message) => message.id), model.branch(node.id)];
      } else {
        const twice = conversations.append(owner, id, { id: node.id, parentId: null, role: 'user', content: 'twice' });
        [answered, expected] = [await twice.catch((error: unknown) => error instanceof StoreError && error.code), 'conflict'];
      }
      expect(answered).toEqual(expected);
      expect((await conversations.branch(owner, id)).map((message) => message.id)).toEqual(model.branch());
    }
    const plain = ({ id: of, parentId, content }: Node | Message): Node => ({ id: of, parentId, content });
    expect((await conversations.messages(owner, id)).map(plain)).toEqual(model.nodes.map(plain));
    expect((await conversations.get(owner, id))?.activeLeaf).toBe(model.activeLeaf);
    expect((await conversations.messages(owner, other.id)).every(({ content }) => content === 'other')).toBe(true);
    for (const word of ['text', 'edited']) {
      expect((await conversations.list(owner, { search: word })).items.length).toBe(model.nodes.some(({ content }) => content.startsWith(word)) ? 1 : 0);
    }
  });

  test('a branch of 3,000 messages is read from end to beginning and deleted at its root', async () => {
    await using opened = await emptyStore(engine);
    const { conversations } = opened.store;
    const messages = Array.from({ length: 3000 }, (_, index) => ({ id: `m${index}`, parentId: index === 0 ? null : `m${index - 1}`, role: 'user', content: `word ${index}`, createdAt: index }));
    await conversations.importAll('a', { format: 'parley-export', version: 1, conversations: [{ id: 'c', title: '', createdAt: 1, updatedAt: 1, activeLeaf: 'm2999', messages }] });
    expect((await conversations.branch('a', 'c')).map(({ id }) => id)).toEqual(messages.map(({ id }) => id));
    expect(await conversations.removeMessage('a', 'c', 'm1')).toBe(true);
    expect((await conversations.branch('a', 'c')).map(({ id }) => id)).toEqual(['m0']);
    expect(await conversations.remove('a', 'c')).toBe(true);
  });
});
