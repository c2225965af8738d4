/** Conversations in groups as people remember them: today, yesterday, this week, this month, then by month and by year. */

/** `today`, `yesterday`, `week` (the 7 days before), `month` (the 30 days before), `2026-03`, `2025`. */
export type GroupKey = 'today' | 'yesterday' | 'week' | 'month' | `${number}-${number}` | `${number}`;

export interface Group<Item> {
  readonly key: GroupKey;
  readonly items: readonly Item[];
}

/** Days since 1970 of the calendar at hand: two instants of one local day have one number, whatever daylight saving did that day. */
const dayOf = (date: Date): number => Math.round(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000);

/** Of an instant, seen from `now`. What lies in the future (another machine's clock) is today. */
export function groupOf(at: Date, now: Date): GroupKey {
  const days = dayOf(now) - dayOf(at);
  if (days <= 0) return 'today';
  if (days === 1) return 'yesterday';
  if (days <= 7) return 'week';
  if (days <= 30) return 'month';
  const year = at.getFullYear();
  return year === now.getFullYear() ? `${year}-${at.getMonth() + 1}` : `${year}`;
}

/** Items keep their order; a group comes where its first item does. */
export function groupByDate<Item>(items: readonly Item[], options: { at: (item: Item) => Date; now: Date }): Group<Item>[] {
  const { at, now } = options;
  const groups = new Map<GroupKey, Item[]>();
  for (const item of items) {
    const key = groupOf(at(item), now);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups].map(([key, members]) => ({ key, items: members }));
}

/** 'March' or '三月'; '2025' or '2025年'. Only for the groups that are a month or a year. */
export function calendarLabel(key: GroupKey, locale: string): string {
  const [year, month] = key.split('-').map(Number);
  const format = new Intl.DateTimeFormat(locale, month === undefined ? { year: 'numeric' } : { month: 'long' });
  return format.format(new Date(year ?? 0, (month ?? 1) - 1, 15));
}
