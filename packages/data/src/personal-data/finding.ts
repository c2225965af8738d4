/** What every finder of personal data returns, and what they all ask of a text around a number. No Node, no DOM. */

export const PERSONAL_DATA_KINDS = ['email', 'phone', 'card', 'iban', 'identity', 'ip'] as const;
export type PersonalDataKind = (typeof PERSONAL_DATA_KINDS)[number];

/** One thing found: text.slice(start, end), in UTF-16 units. */
export interface Finding {
  readonly kind: PersonalDataKind;
  readonly start: number;
  readonly end: number;
}

/** The end of what stands before a place: enough for a label. */
export const before = (text: string, start: number, length = 40): string => text.slice(Math.max(0, start - length), start);

/** Whether a place lies within an address of the web or a path: the digits there number pages, not people. */
export function insideUrl(text: string, start: number): boolean {
  const token = /[^\s"'<>()[\]（）「」《》，。；：、]*$/u.exec(before(text, start, 200))?.[0] ?? '';
  return /:\/\/|www\.|^\/|[/=&?%#]\S*$/.test(token);
}

export const digitsOf = (text: string): string => text.replace(/\D/g, '');

/** Whether a year, month and day, as they are written in numbers, are a day of the years 1900 to 2099. */
export function isDate(year: number, month: number, day: number): boolean {
  const date = new Date(Date.UTC(year, month - 1, day));
  return year >= 1900 && year < 2100 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}
