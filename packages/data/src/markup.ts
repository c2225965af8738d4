/** Wiki markup and Markdown's images and links to text. */

/** MediaWiki's markup: templates, tables, files and references go; links, headings and emphasis leave their text. */
export function stripWiki(text: string): string {
  let out = text
    .replace(/<ref\b[^>]*\/>|<ref\b[^>]*>[\s\S]*?<\/ref\s*>|<!--[\s\S]*?-->/gi, '')
    .replace(/<(math|gallery|timeline|score)\b[^>]*>[\s\S]*?<\/\1\s*>/gi, '')
    .replace(/<\/?(?:nowiki|noinclude|includeonly|onlyinclude|references|poem|br)\b[^>]*>/gi, '');
  // Innermost first, so that nested ones close.
  for (const pattern of [/\{\{[^{}]*\}\}/g, /\{\|(?:(?!\{\||\|\})[\s\S])*\|\}/g]) out = untilStable(out, (value) => value.replace(pattern, ''));
  out = untilStable(out, (value) => value
    .replace(/\[\[(?:File|Image|Category|Datei|Bild|Kategorie|Fichier|Catégorie|Archivo|Categoría|文件|檔案|图像|圖像|分类|分類):[^[\]]*\]\]/gi, '')
    .replace(/\[\[(?:[^[\]|]*\|)?([^[\]|]*)\]\]/g, '$1'));
  return out
    .replace(/\[(?:https?:|ftp:)?\/\/[^\s\]]+(?:\s+([^\]]*))?\]/g, '$1')
    .replace(/^ *(={2,6})[ \t]*(.+?)[ \t]*\1[ \t]*$/gm, '$2')
    .replace(/'{2,5}/g, '')
    .replace(/^[*#]+[ \t]*/gm, '- ')
    .replace(/^[:;]+[ \t]*/gm, '')
    .replace(/__[A-Z]{4,}__/g, '')
    .replace(/-\{(?:[A-Za-z-]+\|)?([^{}]*?)\}-/g, (_, forms: string) => variant(forms));
}

/** Of `zh-hans:软件;zh-hant:軟體` the first form. */
function variant(forms: string): string {
  const [first = ''] = forms.split(';');
  return first.replace(/^\s*zh[\w-]*:\s*/, '');
}

/** Markdown's images and links leave their text; front matter, link definitions and comments go. Code stays as it is. */
export function stripMarkdownLinks(text: string): string {
  const body = text.replace(/^---\r?\n[\s\S]*?\r?\n---[ \t]*(?:\r?\n|$)/, '');
  // Odd pieces are code: fences, then spans.
  return body.split(/(^ {0,3}(?:```|~~~)[\s\S]*?(?:^ {0,3}(?:```|~~~)[ \t]*$|$(?![\s\S]))|`[^`\n]+`)/m)
    .map((piece, index) => (index % 2 === 1 ? piece : stripLinks(piece))).join('');
}

function stripLinks(text: string): string {
  if (!/[[<]/.test(text)) return text;
  return text
    .replace(/<!--[\s\S]*?-->/g, '')
    .replace(/^ {0,3}\[[^\]\n]+\]:[ \t]*\S+.*(?:\n|$)/gm, '')
    .replace(/!\[([^[\]]*)\](?:\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\)|\[[^\]\n]*\])/g, '$1')
    .replace(/\[([^[\]]+)\]\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\)/g, '$1')
    .replace(/\[([^[\]\n]+)\]\[[^\]\n]*\]/g, '$1')
    .replace(/<((?:https?|ftp|mailto):[^\s<>]+)>/g, '$1');
}

function untilStable(text: string, once: (text: string) => string): string {
  for (let round = 0; round < 20; round++) {
    const next = once(text);
    if (next === text) break;
    text = next;
  }
  return text;
}
