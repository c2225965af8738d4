/** Which addresses a model's words may lead to. */

const SCHEMES = new Set(['http:', 'https:', 'mailto:']);

/** The address as the browser reads it; null for other schemes (javascript:, data:, file:) and for what names no place by itself. */
export function safeHref(href: string): string | null {
  try {
    const url = new URL(href.trim());
    return SCHEMES.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}
