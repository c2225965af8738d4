/**
 * What the HTML reports share: one style sheet, the page around it, and how numbers are written. A page is one file that asks
 * nothing of any network, follows the reader's light or dark, and can be printed.
 */
import { createHash } from 'node:crypto';
import { escape } from './chart.ts';

export { escape };

/**
 * Eight hues that stay apart for colour-blind readers and keep 3:1 against the page, in light and in dark, after Okabe and Ito (2008).
 * A ninth series begins again, dashed.
 */
const LIGHT = ['#1f5fb4', '#c6530f', '#0b8468', '#a63d83', '#8f6a00', '#2c8fc4', '#75523a', '#5f6b7a'];
const DARK = ['#7db0f2', '#f29a5c', '#4fc9a4', '#e38fc6', '#e0b93f', '#7fcdf0', '#c9a58a', '#a9b4c2'];
export const HUES = LIGHT.length;

const variables = (colours: readonly string[]): string => colours.map((colour, i) => `--c${i}:${colour}`).join(';');
const LIGHT_PAGE = `--ink:#1b1e23;--soft:#59626e;--faint:#7b8490;--line:#e2e5ea;--rule:#eef0f3;--back:#fff;--card:#f7f8fa;--good:#1f7a48;--bad:#b23c22;--warn:#9a6200;${variables(LIGHT)}`;
const DARK_PAGE = `--ink:#e6e8eb;--soft:#a3acb7;--faint:#808a96;--line:#2e353d;--rule:#242a31;--back:#13161a;--card:#1a1e23;--good:#6cc48d;--bad:#ee8f78;--warn:#e0b050;${variables(DARK)}`;

export const STYLE = `
:root{color-scheme:light dark;${LIGHT_PAGE}}
@media screen and (prefers-color-scheme:dark){:root{${DARK_PAGE}}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0 auto;max-width:1140px;padding:2.2rem 1.5rem 4rem;font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans CJK SC",sans-serif;color:var(--ink);background:var(--back);font-variant-numeric:tabular-nums}
h1{font-size:1.75rem;line-height:1.2;letter-spacing:-.015em;margin:0;overflow-wrap:anywhere}
h2{font-size:1.2rem;letter-spacing:-.01em;margin:2.8rem 0 .8rem}
h3{font-size:.95rem;font-weight:600;margin:0}
p{margin:.4rem 0;max-width:72ch}
a{color:var(--c0)}
.soft{color:var(--soft)}.small{font-size:.85rem}
.eyebrow{font-size:.82rem;color:var(--soft);margin:0 0 .25rem}
.lead{color:var(--soft);margin:.5rem 0 0}
summary{cursor:pointer;color:var(--soft);font-size:.85rem}
summary:hover{color:var(--ink)}
:focus-visible{outline:2px solid var(--c0);outline-offset:2px;border-radius:4px}
.wide{overflow-x:auto;-webkit-overflow-scrolling:touch}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.45rem 1rem .45rem 0;border-bottom:1px solid var(--line)}
th:last-child,td:last-child{padding-right:0}
thead th{font-weight:500;font-size:.82rem;color:var(--soft);white-space:nowrap}
tbody th{font-weight:600}
tbody th small,td small{display:block;font-weight:400;color:var(--soft);font-size:.8rem;max-width:34ch}
.num{text-align:right;white-space:nowrap}
.facts{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1.4rem;margin:.6rem 0;font-size:.9rem}
.facts dt{color:var(--soft)}.facts dd{margin:0;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:1px;margin:1.6rem 0 0;background:var(--line);border:1px solid var(--line);border-radius:10px;overflow:hidden}
.tiles>div{background:var(--back);padding:.8rem 1rem .75rem}
.tiles dt{font-size:.8rem;color:var(--soft)}
.tiles dd{margin:0;font-size:1.45rem;font-weight:600;letter-spacing:-.01em;line-height:1.3}
.tiles dd small{display:block;font-size:.8rem;font-weight:400;letter-spacing:0;color:var(--soft);line-height:1.35}
.say{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate}
pre{overflow:auto;max-height:36rem;padding:1rem;background:var(--card);border:1px solid var(--line);border-radius:8px;font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;tab-size:2}
footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.82rem}
@media(max-width:620px){body{padding:1.4rem 1rem 3rem}h1{font-size:1.45rem}h2{margin-top:2.2rem}.facts{grid-template-columns:1fr;gap:0}.facts dd{margin-bottom:.5rem}.tiles{grid-template-columns:repeat(2,1fr)}.tiles dd{font-size:1.25rem}}
@media print{body{max-width:none;padding:0;font-size:10pt}h2,h3{break-after:avoid}figure,.tiles,tr,article{break-inside:avoid}pre{max-height:none;white-space:pre-wrap}.noprint{display:none}}
`;

export interface Page {
  readonly title: string;
  /** Rules of this kind of page, after the shared ones. */
  readonly style: string;
  readonly body: string;
  /** Inline, and the only script that may run. */
  readonly script?: string;
  /** Seconds after which a browser without scripts loads the page again. */
  readonly refresh?: number | undefined;
}

/** The policy lets nothing be fetched and no script run but the page's own, whatever its texts hold. */
export function page({ title, style, body, script, refresh }: Page): string {
  const hash = script === undefined ? '' : `script-src 'sha256-${createHash('sha256').update(script).digest('base64')}';`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none';style-src 'unsafe-inline';img-src data:;${hash}">
${refresh === undefined ? '' : `<noscript><meta http-equiv="refresh" content="${refresh}"></noscript>\n`}<title>${escape(title)}</title>
<style>${STYLE}${style}</style></head>
<body>
${body}
${script === undefined ? '' : `<script>${script}</script>\n`}</body></html>
`;
}

/** JSON inside a script element: no text in it can end the element. */
export const embedded = (id: string, value: unknown): string =>
  `<script type="application/json" id="${id}">${JSON.stringify(value).replaceAll('<', '\\u003c')}</script>`;

const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
export const whole = (value: number): string => WHOLE.format(value);

/** 6074321 → "6.07M". */
export function short(value: number): string {
  for (const [size, unit] of [[1e12, 'T'], [1e9, 'B'], [1e6, 'M'], [1e4, 'k']] as const) {
    if (value >= size) return `${(value / (unit === 'k' ? 1e3 : size)).toPrecision(3)}${unit}`;
  }
  return whole(value);
}

/** 75 → "1 min 15 s", 7300 → "2 h 2 min". */
export function duration(seconds: number): string {
  const all = Math.round(seconds);
  if (all < 60) return `${all} s`;
  if (all < 3600) return `${Math.floor(all / 60)} min${all < 600 && all % 60 > 0 ? ` ${all % 60} s` : ''}`;
  if (all < 172_800) return `${Math.floor(all / 3600)} h ${Math.floor((all % 3600) / 60)} min`;
  return `${Math.floor(all / 86_400)} days ${Math.floor((all % 86_400) / 3600)} h`;
}
