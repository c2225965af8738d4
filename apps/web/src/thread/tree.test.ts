import type { TalkMessage } from '@parley/protocol';
import { expect, test } from 'vitest';
import { branchTo, EMPTY_TREE, leafUnder, replaceMessage, siblingsOf, treeOf, withMessage, withoutMessage } from './tree.ts';

const message = (id: string, parentId: string | null, role: 'user' | 'assistant' = 'user'): TalkMessage => ({
  id, parentId, role, conversationId: 'c', content: id, createdAt: 0, status: 'complete',
});
const ids = (messages: readonly TalkMessage[]): string => messages.map(({ id }) => id).join(' ');

test('a branch goes from the beginning to its leaf', () => {
  const tree = treeOf([message('q', null), message('a', 'q'), message('b', 'q'), message('r', 'b')]);
  expect(ids(branchTo(tree, 'r'))).toBe('q b r');
  expect(ids(branchTo(tree, 'a'))).toBe('q a');
  expect(branchTo(tree, 'gone')).toEqual([]);
  expect(branchTo(tree, null)).toEqual([]);
});

test('siblings of an answer and of a first question, in the order in which they came', () => {
  const tree = treeOf([message('q', null), message('a', 'q'), message('b', 'q'), message('edited', null)]);
  expect(siblingsOf(tree, 'a')).toEqual(['a', 'b']);
  expect(siblingsOf(tree, 'q')).toEqual(['q', 'edited']);
});

test('the leaf under a message is the end of the newest branch', () => {
  const tree = treeOf([message('q', null), message('a', 'q'), message('b', 'q'), message('r', 'a'), message('s', 'r')]);
  expect(leafUnder(tree, 'a')).toBe('s');
  expect(leafUnder(tree, null)).toBe('b');
  expect(leafUnder(EMPTY_TREE, null)).toBeNull();
});

test('a message that the server has kept takes the place of the one that was typed', () => {
  let tree = treeOf([message('q', null), message('a', 'q')]);
  tree = withMessage(tree, message('local:1', 'a'));
  tree = replaceMessage(tree, 'local:1', message('m9', 'a'));
  expect(ids(branchTo(tree, 'm9'))).toBe('q a m9');
  expect(tree.byId.has('local:1')).toBe(false);
  expect(siblingsOf(withoutMessage(tree, 'm9'), 'a')).toEqual(['a']);
  expect(tree.children.get('a')).toEqual(['m9']);
});

test('putting a message again changes it and adds no sibling', () => {
  const tree = withMessage(treeOf([message('q', null), message('a', 'q')]), { ...message('a', 'q'), content: 'more' });
  expect(siblingsOf(tree, 'a')).toEqual(['a']);
  expect(tree.byId.get('a')?.content).toBe('more');
});

test('rings and lost parents, as a broken file may have them, do not hang or hide messages', () => {
  const ring = treeOf([message('x', 'y'), message('y', 'x')]);
  expect(branchTo(ring, 'x')).toHaveLength(2);
  expect(() => leafUnder(ring, 'x')).not.toThrow();
  const lost = treeOf([message('z', 'nobody')]);
  expect(leafUnder(lost, null)).toBe('z');
});
