import { expect, test } from 'vitest';
import { FairQueue } from './fair-queue.ts';

interface Item { readonly name: string; readonly queueKey: string; readonly priority: number; wants: number }
const item = (name: string, queueKey: string, { priority = 0, wants = 1 } = {}): Item => ({ name, queueKey, priority, wants });

function drain(queue: FairQueue<Item>): string[] {
  const order: string[] = [];
  for (let next = queue.next; next; next = queue.next) {
    order.push(next.name);
    queue.served(next, { done: --next.wants === 0 });
  }
  return order;
}

test('keys take turns however much each asks for; within a key the priority decides, then the time', () => {
  const queue = new FairQueue<Item>();
  for (const name of ['a1', 'a2', 'a3']) queue.push(item(name, 'a'));
  queue.push(item('a-urgent', 'a', { priority: 5 }));
  queue.push(item('b1', 'b', { wants: 3 }));
  queue.push(item('c1', 'c'));
  queue.push(item('c-low', 'c', { priority: -1 }));
  expect(queue.size).toBe(7);
  expect(drain(queue)).toEqual(['a-urgent', 'b1', 'c1', 'a1', 'b1', 'c-low', 'a2', 'b1', 'a3']);
  expect(queue.size).toBe(0);
});

test('who leaves the queue is passed over', () => {
  const queue = new FairQueue<Item>();
  const items = [item('a1', 'a'), item('a2', 'a'), item('b1', 'b')];
  for (const each of items) queue.push(each);
  expect(queue.remove(items[0]!)).toBe(true);
  expect(queue.remove(items[0]!)).toBe(false);
  queue.served(items[0]!, { done: true });
  expect(drain(queue).toSorted()).toEqual(['a2', 'b1']);
});
