/** A report as people read it: Markdown, and HTML in one file that needs nothing else and follows the reader's light or dark. */
import type { EntryReport, Estimate, EvaluationReport, Figure } from './evaluate-suite.ts';

type Measured = Extract<EntryReport, { status: 'measured' }>;

const TRAINING: Readonly<Record<Measured['training'], string>> = {
  unknown: 'whether the model was trained on this file is not known: no run was given',
  unseen: 'not among the files the model was trained on',
  'held-out': 'a file the model was trained on; measured only on what was kept from training',
  seen: 'the model was trained on this: the figures flatter',
};

const decimals = ({ unit }: Figure): number => (unit === 'bits per byte' ? 3 : 1);
const number = (value: number | null, digits: number): string => (value === null ? '–' : value.toFixed(digits));
const suffix = ({ unit }: Figure): string => (unit === '%' ? ' %' : '');
const range = ({ low, high }: Estimate, digits: number): string => `${number(low, digits)}–${number(high, digits)}`;
const whole = (value: number): string => value.toLocaleString('en');
const short = (hash: string): string => hash.slice(0, 12);

/** Whether the model does better than a baseline: yes or no only where the whole interval of the difference says so. */
export function verdict(figure: Figure, difference: Estimate): 'better' | 'worse' | 'no difference shown' {
  const { low, high } = difference;
  if (low === null || high === null || (low <= 0 && high >= 0)) return 'no difference shown';
  return (low > 0) === (figure.better === 'higher') ? 'better' : 'worse';
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();
const cell = (text: string): string => oneLine(text).replaceAll('|', '\\|');
const clip = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most).toWellFormed()}…` : text);

const itemsOf = ({ items }: Measured): string =>
  `${whole(items.measured)} items${items.measured < items.total ? ` of ${whole(items.total)}` : ''}${items.eligible < items.total ? `, ${whole(items.eligible)} of them eligible` : ''}`;

/** Lines of facts: what was measured by what. */
function facts({ model, suite, code, date, backend, trainedOn }: EvaluationReport): [string, string][] {
  return [
    ['model', `${model.name}, ${whole(model.parameters)} parameters, context ${whole(model.contextLength)}, held in ${model.dtype}`],
    ['weights', model.weights.map(({ path, sha256 }) => `${path} ${short(sha256)}`).join(', ')],
    ['tokenizer', short(model.tokenizer)],
    ['suite', `${suite.name} ${short(suite.sha256)}, seed ${suite.seed}`],
    ['code', code],
    ['computed on', backend],
    ['date', date],
    ['trained on', trainedOn === null ? 'not known' : trainedOn.map(({ source, licence, files }) =>
      `${source} (${licence ?? 'no licence stated'}; ${files.map(({ path, sha256 }) => `${path} ${short(sha256)}`).join(', ')})`).join('; ')],
  ];
}

const EXPLANATION = 'In brackets: 95 % confidence intervals, percentile bootstrap over the items, 1,000 resamples. Hashes are the first 12 digits of SHA-256. ' +
  'The model is called better or worse than a baseline only where the interval of their paired difference leaves out zero.';

export function reportMarkdown(report: EvaluationReport): string {
  const out = [`# Report card: ${report.model.name}`, '', ...(report.suite.description === undefined ? [] : [oneLine(report.suite.description), '']), '| | |', '|---|---|'];
  for (const [name, value] of facts(report)) out.push(`| ${name} | ${cell(value)} |`);
  out.push('', EXPLANATION, '', '## Figures', '', '| what | metric | model | baseline | model against it |', '|---|---|---|---|---|');
  for (const entry of report.entries) {
    if (entry.status !== 'measured') {
      out.push(`| ${entry.name} | ${entry.status}: ${cell(entry.reason)} | | | |`);
      continue;
    }
    for (const [i, figure] of entry.figures.entries()) {
      const digits = decimals(figure);
      const show = (estimate: Estimate): string => `${number(estimate.value, digits)}${suffix(figure)} (${range(estimate, digits)})`;
      const rivals = figure.baselines;
      out.push(`| ${i === 0 ? `**${entry.name}**` : ''} | ${figure.metric} ${figure.better === 'higher' ? '↑' : '↓'} | ${show(figure)} | ` +
        `${rivals.map((each) => `${cell(each.name)}: ${show(each)}`).join('<br>') || '–'} | ${rivals.map((each) => verdict(figure, each.difference)).join('<br>')} |`);
    }
  }
  for (const entry of report.entries) if (entry.status === 'measured') out.push('', ...details(entry));
  return `${out.join('\n')}\n`;
}

function details(entry: Measured): string[] {
  const out = [`## ${entry.name}`, '', `${entry.task}, ${entry.language}${entry.domain === undefined ? '' : `, ${entry.domain}`}; ${itemsOf(entry)}; ${entry.seconds.toFixed(1)} s.`, ''];
  out.push(`- data: ${entry.file.path} ${short(entry.file.sha256)}${entry.licence === undefined ? '' : ` (${entry.licence})`}; ${TRAINING[entry.training]}`);
  if (entry.train !== undefined) out.push(`- baselines learn from: ${entry.train.path} ${short(entry.train.sha256)}`);
  for (const { metric, signature } of entry.figures) if (signature !== undefined) out.push(`- ${metric}: \`${signature}\``);
  for (const note of entry.notes) out.push(`- ${note}`);
  if (entry.confusion !== undefined && entry.confusion.labels.length <= 12) {
    const { labels, matrix } = entry.confusion;
    out.push('', `| is ↓ said → | ${labels.map(cell).join(' | ')} | none |`, `|---|${labels.map(() => '---|').join('')}---|`);
    for (const [i, row] of matrix.entries()) out.push(`| ${cell(labels[i] ?? '')} | ${row.join(' | ')} |`);
  }
  if (entry.samples.length > 0) {
    out.push('', 'The first items drawn, unedited:', '', '| asked | answered | wanted |', '|---|---|---|');
    for (const { asked, answer, wanted } of entry.samples) out.push(`| ${cell(clip(asked, 300))} | ${cell(clip(answer, 300)) || '*(nothing)*'} | ${cell(clip(wanted, 300))} |`);
  }
  return out;
}

// ---- HTML --------------------------------------------------------------------------------------------------------------

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const STYLE = `
:root{color-scheme:light dark;--ink:#1c1f24;--soft:#5b6470;--line:#dfe3e8;--back:#fff;--card:#f7f8fa;--blue:#2f5fa8;--bar:#b9cbe6;--good:#2c7a4b;--bad:#b4442f}
@media(prefers-color-scheme:dark){:root{--ink:#e7e9ec;--soft:#9aa4b0;--line:#333a43;--back:#14171b;--card:#1c2026;--blue:#86aee8;--bar:#3b5680;--good:#6cc48d;--bad:#e58a76}}
*{box-sizing:border-box}body{margin:0 auto;max-width:1080px;padding:2.5rem 1.25rem 4rem;font:15px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--back)}
h1{font-size:1.7rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2.4rem 0 .4rem}p{margin:.4rem 0}.soft,dt,th,.n{color:var(--soft)}.small{font-size:.86rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.2rem;margin:1.2rem 0;padding:1rem 1.2rem;background:var(--card);border:1px solid var(--line);border-radius:10px}dd{margin:0;overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;margin:.6rem 0;font-size:.93rem}th,td{text-align:left;vertical-align:top;padding:.4rem .7rem .4rem 0;border-bottom:1px solid var(--line)}th{font-weight:500}
.v{font-variant-numeric:tabular-nums;white-space:nowrap;font-weight:600}.v small{font-weight:400;color:var(--soft)}.better{color:var(--good)}.worse{color:var(--bad)}
svg{display:block;width:170px;height:18px}.track{stroke:var(--line)}.ci{stroke:var(--bar)}.dot{fill:var(--blue)}.tick{stroke:var(--soft)}
td.m{text-align:right;font-variant-numeric:tabular-nums}td.hit{background:var(--card);font-weight:600}.say{white-space:pre-wrap;overflow-wrap:anywhere;max-width:26rem}
`;

/** The model's interval as a bar on 0…100 (or up to the largest number there), baselines as ticks. */
function bar(figure: Figure): string {
  const all = [figure, ...figure.baselines].flatMap(({ high, value }) => [high ?? 0, value ?? 0]);
  const most = figure.unit === '%' || figure.unit === 'points' ? 100 : Math.max(...all, 1e-9) * 1.05;
  const x = (value: number | null): string => (4 + (162 * Math.max(0, Math.min(most, value ?? 0))) / most).toFixed(1);
  const ticks = figure.baselines.map(({ name, value }) => `<path class="tick" d="M${x(value)} 2V16" stroke-width="1.5"><title>${escape(name)}</title></path>`).join('');
  return `<svg viewBox="0 0 170 18" role="img" aria-label="${escape(`${figure.metric}: ${number(figure.value, decimals(figure))}`)}"><path class="track" d="M4 9H166"/>` +
    `<path class="ci" stroke-width="7" stroke-linecap="round" d="M${x(figure.low)} 9H${x(figure.high)}"/>${ticks}<circle class="dot" cx="${x(figure.value)}" cy="9" r="4"/></svg>`;
}

function figureRows(entry: Measured): string {
  return entry.figures.map((figure) => {
    const digits = decimals(figure);
    const show = (estimate: Estimate): string => `${number(estimate.value, digits)}${suffix(figure)} <small>(${range(estimate, digits)})</small>`;
    const rivals = figure.baselines.map((each) => {
      const how = verdict(figure, each.difference);
      return `<div>${escape(each.name)}: <span class="v">${show(each)}</span> <span class="small ${how}">${how}</span></div>`;
    }).join('');
    return `<tr><td>${escape(figure.metric)} <span class="soft" title="${figure.better} is better">${figure.better === 'higher' ? '↑' : '↓'}</span></td>` +
      `<td class="v">${show(figure)}</td><td>${bar(figure)}</td><td>${rivals || '–'}</td></tr>`;
  }).join('\n');
}

function confusionTable({ labels, matrix }: NonNullable<Measured['confusion']>): string {
  const rows = matrix.map((row, i) => `<tr><th>${escape(labels[i] ?? '')}</th>${row.map((count, k) => `<td class="m${k === i ? ' hit' : ''}">${count}</td>`).join('')}</tr>`);
  return `<div class="wide"><table style="width:auto"><tr><th>is ↓ said →</th>${[...labels, 'none'].map((label) => `<th>${escape(label)}</th>`).join('')}</tr>${rows.join('')}</table></div>`;
}

function section(entry: EntryReport): string {
  const title = `<h2 id="${escape(entry.name)}">${escape(entry.name)}</h2>`;
  if (entry.status !== 'measured') return `${title}<p class="soft">${entry.status}: ${escape(entry.reason)}</p>`;
  const notes = [
    `Data: ${entry.file.path} ${short(entry.file.sha256)}${entry.licence === undefined ? '' : ` (${entry.licence})`}; ${TRAINING[entry.training]}.`,
    ...(entry.train === undefined ? [] : [`Baselines learn from ${entry.train.path} ${short(entry.train.sha256)}.`]),
    ...entry.figures.flatMap(({ metric, signature }) => (signature === undefined ? [] : [`${metric}: ${signature}`])), ...entry.notes,
  ];
  const samples = entry.samples.length === 0 ? '' :
    `<details><summary class="soft small">The first items drawn, unedited</summary><div class="wide"><table><tr><th>asked</th><th>answered</th><th>wanted</th></tr>${entry.samples
      .map(({ asked, answer, wanted }) => `<tr><td class="say">${escape(asked)}</td><td class="say">${escape(answer) || '<i>(nothing)</i>'}</td><td class="say">${escape(wanted)}</td></tr>`)
      .join('')}</table></div></details>`;
  return `${title}<p class="soft small">${escape([entry.task, entry.language, ...(entry.domain === undefined ? [] : [entry.domain]), itemsOf(entry)].join(' · '))}</p>
<div class="wide"><table><tr><th>metric</th><th>model</th><th></th><th>baselines</th></tr>${figureRows(entry)}</table></div>
${entry.confusion !== undefined && entry.confusion.labels.length <= 12 ? confusionTable(entry.confusion) : ''}
<p class="soft small">${notes.map(escape).join('<br>')}</p>${samples}`;
}

export function reportHtml(report: EvaluationReport): string {
  const name = escape(report.model.name);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Report card: ${name}</title><style>${STYLE}</style></head>
<body><h1>Report card: ${name}</h1>${report.suite.description === undefined ? '' : `<p>${escape(report.suite.description)}</p>`}
<dl>${facts(report).map(([key, value]) => `<dt>${key}</dt><dd>${escape(value)}</dd>`).join('')}</dl>
<p class="soft small">${escape(EXPLANATION)} In the pictures: dot and bar are the model and its interval, ticks the baselines.</p>
${report.entries.map(section).join('\n')}
</body></html>
`;
}
