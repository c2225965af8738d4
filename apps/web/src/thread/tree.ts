/** A conversation as a tree of branches: siblings are answers that were asked for again, or questions that were edited. */
import type { TalkMessage } from '@parley/protocol';

export interface Tree {
  readonly byId: ReadonlyMap<string, TalkMessage>;
  /** Under null: the beginnings. The oldest comes first. */
  readonly children: ReadonlyMap<string | null, readonly string[]>;
}

export const EMPTY_TREE: Tree = { byId: new Map(), children: new Map() };

/** Of messages in any order. One whose parent is not there is a beginning rather than lost. */
export function treeOf(messages: readonly TalkMessage[]): Tree {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const children = new Map<string | null, string[]>();
  for (const { id, parentId } of messages) {
    const parent = parentId !== null && byId.has(parentId) ? parentId : null;
    const siblings = children.get(parent);
    if (siblings) siblings.push(id);
    else children.set(parent, [id]);
  }
  return { byId, children };
}

/** The tree with a message added as its parent's last child, or in place of the one that has its id. */
export function withMessage(tree: Tree, message: TalkMessage): Tree {
  const byId = new Map(tree.byId).set(message.id, message);
  if (tree.byId.has(message.id)) return { byId, children: tree.children };
  const parent = message.parentId !== null && tree.byId.has(message.parentId) ? message.parentId : null;
  return { byId, children: new Map(tree.children).set(parent, [...tree.children.get(parent) ?? [], message.id]) };
}

/** The tree with one message, which has no children yet, known by another id and as the server has it. */
export function replaceMessage(tree: Tree, id: string, message: TalkMessage): Tree {
  const byId = new Map(tree.byId);
  byId.delete(id);
  byId.set(message.id, message);
  const parent = parentOf(tree, id);
  return { byId, children: new Map(tree.children).set(parent, (tree.children.get(parent) ?? []).map((each) => (each === id ? message.id : each))) };
}

/** The tree without a message that has no children. */
export function withoutMessage(tree: Tree, id: string): Tree {
  const byId = new Map(tree.byId);
  byId.delete(id);
  const parent = parentOf(tree, id);
  return { byId, children: new Map(tree.children).set(parent, (tree.children.get(parent) ?? []).filter((each) => each !== id)) };
}

function parentOf(tree: Tree, id: string): string | null {
  const parentId = tree.byId.get(id)?.parentId ?? null;
  return parentId !== null && tree.byId.has(parentId) ? parentId : null;
}

/** From the beginning to `leaf`; nothing where there is no such message. */
export function branchTo(tree: Tree, leaf: string | null): readonly TalkMessage[] {
  const branch: TalkMessage[] = [];
  const seen = new Set<string>();
  for (let id = leaf; id !== null && !seen.has(id);) {
    const message = tree.byId.get(id);
    if (message === undefined) break;
    seen.add(id);
    branch.push(message);
    id = message.parentId;
  }
  return branch.reverse();
}

/** The end of the newest branch under a message; under null: of the newest of all. */
export function leafUnder(tree: Tree, id: string | null): string | null {
  let leaf = id;
  const seen = new Set<string | null>();
  for (let next = tree.children.get(leaf)?.at(-1); next !== undefined && !seen.has(next); next = tree.children.get(leaf)?.at(-1)) {
    seen.add(next);
    leaf = next;
  }
  return leaf;
}

/** The message itself included. */
export const siblingsOf = (tree: Tree, id: string): readonly string[] => tree.children.get(parentOf(tree, id)) ?? [];
