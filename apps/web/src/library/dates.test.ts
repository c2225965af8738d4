import { expect, test } from 'vitest';
import { calendarLabel, groupByDate, groupOf } from './dates.ts';

const now = new Date(2026, 5, 15, 0, 30);

test.each([
  [new Date(2026, 5, 15, 0, 0), 'today'],
  [new Date(2026, 5, 16, 9, 0), 'today'],
  [new Date(2026, 5, 14, 23, 59), 'yesterday'],
  [new Date(2026, 5, 13, 23, 59), 'week'],
  [new Date(2026, 5, 8, 0, 0), 'week'],
  [new Date(2026, 5, 7, 23, 59), 'month'],
  [new Date(2026, 4, 16), 'month'],
  [new Date(2026, 4, 15), '2026-5'],
  [new Date(2026, 0, 1), '2026-1'],
  [new Date(2025, 11, 31), '2025'],
] as const)('%s, half an hour into 15 June 2026, is %s', (at, key) => {
  expect(groupOf(at, now)).toBe(key);
});

test('days are those of the calendar, not of 24 hours, also where a clock was put forward', () => {
  // 23 hours lie between these two midnights wherever summer time begins on 29 March 2026; elsewhere 24.
  expect(groupOf(new Date(2026, 2, 29, 0, 1), new Date(2026, 2, 30, 0, 0))).toBe('yesterday');
});

test('groups keep the order of items', () => {
  const items = [{ id: 'a', at: now }, { id: 'b', at: new Date(2026, 5, 14) }, { id: 'c', at: new Date(2026, 5, 14) }, { id: 'd', at: new Date(2024, 1, 1) }];
  const groups = groupByDate(items, { at: (item) => item.at, now });
  expect(groups.map(({ key, items: members }) => [key, members.map(({ id }) => id).join('')])).toEqual([['today', 'a'], ['yesterday', 'bc'], ['2024', 'd']]);
});

test('months and years are named by the language', () => {
  expect(calendarLabel('2026-3', 'en')).toBe('March');
  expect(calendarLabel('2026-3', 'zh')).toBe('三月');
  expect(calendarLabel('2025', 'en')).toBe('2025');
  expect(calendarLabel('2025', 'zh')).toBe('2025年');
});
