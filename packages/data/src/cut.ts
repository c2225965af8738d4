/** Where a text may be cut. */

/**
 * The best place at or before `limit` to cut a text: after a paragraph, else a line, else a sentence, else a word, each
 * within the second half; else at the limit, but never inside a surrogate pair.
 */
export function cutPoint(text: string, limit: number): number {
  if (text.length <= limit) return text.length;
  for (const separator of ['\n\n', '\n', '. ', '。', ' ']) {
    const at = text.lastIndexOf(separator, limit - separator.length);
    if (at !== -1 && at + separator.length >= limit / 2) return at + separator.length;
  }
  const code = text.charCodeAt(limit - 1);
  return code >= 0xd800 && code <= 0xdbff ? limit - 1 : limit;
}
