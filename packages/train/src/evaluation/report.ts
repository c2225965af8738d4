/** A report as people read it: Markdown, and HTML in one file that needs nothing else and follows the reader's light or dark. */
import { escape, page } from '../report-html.ts';
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

const STYLE = `
.better{color:var(--good)}.worse{color:var(--bad)}.even{color:var(--soft)}
.verdict{white-space:nowrap;font-size:.85rem}
.plot{width:100%;min-width:9rem;height:1.5rem;display:block;overflow:visible}
.plot path{vector-effect:non-scaling-stroke;fill:none}
.track{stroke:var(--line);stroke-width:1}.ci{stroke:var(--c0);stroke-width:7;stroke-linecap:round;opacity:.35}.dot{stroke:var(--c0);stroke-width:9;stroke-linecap:round}
.base .ci{stroke:var(--faint);stroke-width:4}.base .dot{stroke:var(--faint);stroke-width:6}.tick{stroke:var(--faint);stroke-width:2}
.overview td,.overview th{vertical-align:middle}.overview .at{width:36%;min-width:10rem}.narrow{display:none!important}
.figures{table-layout:fixed}.figures .who{width:30%;overflow-wrap:anywhere}.figures .num{width:5.5rem}.figures .range{width:8rem}.figures .verdict-cell{width:11.5rem}.overview tbody th{font-weight:500}
.figures td,.figures th{border-bottom:0;padding-top:.15rem;padding-bottom:.15rem;vertical-align:middle}.figures tbody+tbody tr:first-child>*{padding-top:1.1rem}
.figures .who{font-weight:400;color:var(--soft)}.figures .model .who{color:var(--ink);font-weight:600}.figures .model .num{font-weight:600}
.figures .metric th{font-size:.85rem;font-weight:500;color:var(--soft)}.range{color:var(--soft);white-space:nowrap;font-size:.85rem}
.confusion{width:auto;margin-top:1rem}.confusion th{font-weight:400;color:var(--soft);font-size:.85rem}.confusion td{text-align:right;min-width:3.2rem;padding:.3rem .6rem;background:color-mix(in srgb,var(--c0) var(--share),transparent);border:2px solid var(--back);border-radius:6px}
.confusion td.hit{font-weight:600}
.asked td{width:33%}details{margin-top:.7rem}
@media(max-width:720px){.range,.roomy{display:none!important}.narrow{display:block!important}.overview .at{min-width:6.5rem;width:40%}.plot{min-width:5rem}.figures .who{width:34%}.figures .num{width:4.6rem}.figures .verdict-cell{width:1.6rem}
.word{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.asked,.asked tbody,.asked tr,.asked td{display:block;width:auto}.asked thead{display:none}.asked tr{padding:.5rem 0;border-bottom:1px solid var(--line)}.asked td{border:0;padding:.15rem 0}.asked td::before{content:attr(data-what);display:block;font-size:.78rem;color:var(--soft)}}
`;

/** Where values stand: 0 to 100, or up to somewhat above the largest number of that unit anywhere in the report. */
function scaleOf({ unit }: Figure, entries: readonly EntryReport[]): (value: number | null) => string {
  const figures = entries.flatMap((entry) => (entry.status === 'measured' ? entry.figures : [])).filter((figure) => figure.unit === unit);
  const all = figures.flatMap((figure) => [figure, ...figure.baselines]).flatMap(({ high, value }) => [high ?? 0, value ?? 0]);
  const most = unit === '%' || unit === 'points' ? 100 : Math.max(...all, 1e-9) * 1.05;
  return (value) => (10 + (980 * Math.max(0, Math.min(most, value ?? 0))) / most).toFixed(1);
}

/** A value as a dot on its interval, on the whole figure's scale; `ticks`: others to compare it with. */
function plot(estimate: Estimate, x: (value: number | null) => string, ticks: readonly (Estimate & { readonly name: string })[] = []): string {
  if (estimate.value === null) return '';
  const interval = estimate.low === null || estimate.high === null ? '' : `<path class="ci" d="M${x(estimate.low)} 10H${x(estimate.high)}"/>`;
  return `<svg class="plot" viewBox="0 0 1000 20" preserveAspectRatio="none" aria-hidden="true"><path class="track" d="M10 10H990"/>${interval}` +
    `${ticks.map(({ name, value }) => `<path class="tick" d="M${x(value)} 2V18"><title>${escape(name)}</title></path>`).join('')}<path class="dot" d="M${x(estimate.value)} 10h0"/></svg>`;
}

const shown = (estimate: Estimate, figure: Figure): string => `${number(estimate.value, decimals(figure))}${suffix(figure)}`;
const arrow = (figure: Figure): string => `<span title="${figure.better} is better" aria-label="${figure.better} is better">${figure.better === 'higher' ? '↑' : '↓'}</span>`;
const badge = (how: ReturnType<typeof verdict>): string => `<span class="verdict ${how === 'no difference shown' ? 'even' : how}">${how === 'better' ? '▲' : how === 'worse' ? '▼' : '='} <span class="word">${how}</span></span>`;

/** The baseline that is hardest to beat. */
function strongest(figure: Figure): Figure['baselines'][number] | undefined {
  const rank = ({ value }: Estimate): number => (value === null ? -Infinity : figure.better === 'higher' ? value : -value);
  return figure.baselines.toSorted((a, b) => rank(b) - rank(a))[0];
}

/** Every entry's first figure, to be seen at once. */
function overview(entries: readonly EntryReport[]): string {
  const rows = entries.map((entry) => {
    const figure = entry.status === 'measured' ? entry.figures[0] : undefined;
    const metric = figure === undefined ? '' : `${escape(figure.metric)} ${arrow(figure)}`;
    const name = `<th scope="row"><a href="#${anchor(entry.name)}">${escape(entry.name)}</a>${metric === '' ? '' : `<small class="narrow">${metric}</small>`}</th>`;
    if (entry.status !== 'measured' || figure === undefined) {
      return `<tr>${name}<td colspan="5" class="soft">${entry.status === 'measured' ? 'no figure' : `${entry.status}: ${escape(entry.reason)}`}</td></tr>`;
    }
    const rival = strongest(figure);
    return `<tr>${name}<td class="soft roomy">${metric}</td><td class="num"><b>${shown(figure, figure)}</b></td><td class="at">${plot(figure, scaleOf(figure, entries), figure.baselines)}</td>` +
      `<td class="num soft roomy">${rival === undefined ? '' : shown(rival, figure)}</td><td>${rival === undefined ? '' : `${badge(verdict(figure, rival.difference))}<small class="roomy">than ${escape(rival.name)}</small>`}</td></tr>`;
  });
  return `<div class="wide"><table class="overview"><thead><tr><th scope="col">what</th><th scope="col" class="roomy">metric</th><th scope="col" class="num">model</th><th scope="col"></th><th scope="col" class="num roomy">baseline</th><th scope="col"><span class="roomy">the model is</span></th></tr></thead><tbody>${rows.join('\n')}</tbody></table></div>
<p class="soft small">Dot and pale bar: the model and its interval; upright lines: the baselines, of which the strongest is named.</p>`;
}

const anchor = (name: string): string => encodeURIComponent(name).replaceAll("'", '%27');

/** The model above its baselines, on one scale. */
function figureRows(figure: Figure, entries: readonly EntryReport[]): string {
  const x = scaleOf(figure, entries);
  const row = (who: string, estimate: Estimate, how: string, kind: string): string =>
    `<tr class="${kind}"><th scope="row" class="who">${escape(who)}</th><td class="num">${shown(estimate, figure)}</td><td class="range">${range(estimate, decimals(figure))}</td><td class="at">${plot(estimate, x)}</td><td class="verdict-cell">${how}</td></tr>`;
  return `<tbody><tr class="metric"><th scope="rowgroup" colspan="2">${escape(figure.metric)} ${arrow(figure)}</th></tr>${row('model', figure, '', 'model')}${figure.baselines
    .map((each) => row(each.name, each, badge(verdict(figure, each.difference)), 'base')).join('')}</tbody>`;
}

/** Cells are the darker, the larger their share of the row. */
function confusionTable({ labels, matrix }: NonNullable<Measured['confusion']>): string {
  const rows = matrix.map((row, i) => {
    const sum = row.reduce((total, count) => total + count, 0);
    return `<tr><th scope="row">${escape(labels[i] ?? '')}</th>${row.map((count, k) => `<td class="${k === i ? 'hit' : ''}" style="--share:${sum === 0 ? 0 : Math.round((45 * count) / sum)}%">${count}</td>`).join('')}</tr>`;
  });
  return `<div class="wide"><table class="confusion"><thead><tr><th scope="col">is ↓ said →</th>${[...labels, 'none'].map((label) => `<th scope="col" class="num">${escape(label)}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

function section(entry: EntryReport, entries: readonly EntryReport[]): string {
  const title = `<h2 id="${anchor(entry.name)}">${escape(entry.name)}</h2>`;
  if (entry.status !== 'measured') return `<section>${title}<p class="soft">${entry.status}: ${escape(entry.reason)}</p></section>`;
  const notes = [
    `Data: ${entry.file.path} ${short(entry.file.sha256)}${entry.licence === undefined ? '' : ` (${entry.licence})`}; ${TRAINING[entry.training]}.`,
    ...(entry.train === undefined ? [] : [`Baselines learn from ${entry.train.path} ${short(entry.train.sha256)}.`]),
    ...entry.figures.flatMap(({ metric, signature }) => (signature === undefined ? [] : [`${metric}: ${signature}`])), ...entry.notes,
  ];
  const said = (what: string, text: string): string => `<td class="say" dir="auto" data-what="${what}">${escape(text) || '<i class="soft">(nothing)</i>'}</td>`;
  const samples = entry.samples.length === 0 ? '' :
    `<details><summary>The first items drawn, unedited</summary><table class="asked"><thead><tr><th scope="col">asked</th><th scope="col">answered</th><th scope="col">wanted</th></tr></thead><tbody>${entry.samples
      .map(({ asked, answer, wanted }) => `<tr>${said('asked', asked)}${said('answered', answer)}${said('wanted', wanted)}</tr>`)
      .join('')}</tbody></table></details>`;
  return `<section>${title}<p class="soft small">${escape([entry.task, entry.language, ...(entry.domain === undefined ? [] : [entry.domain]), itemsOf(entry)].join(' · '))}</p>
<div class="wide"><table class="figures"><colgroup><col class="who"><col class="num"><col class="range"><col><col class="verdict-cell"></colgroup>${entry.figures.map((figure) => figureRows(figure, entries)).join('')}</table></div>
${entry.confusion !== undefined && entry.confusion.labels.length <= 12 ? confusionTable(entry.confusion) : ''}
${samples}<details><summary>Data and notes</summary><p class="soft small">${notes.map(escape).join('<br>')}</p></details></section>`;
}

export function reportHtml(report: EvaluationReport): string {
  const { name } = report.model;
  const body = `<header><p class="eyebrow">Report card</p><h1>${escape(name)}</h1></header>
${report.suite.description === undefined ? '' : `<p class="lead">${escape(report.suite.description)}</p>`}
<main><h2>At a glance</h2>
${overview(report.entries)}
${report.entries.map((entry) => section(entry, report.entries)).join('\n')}</main>
<h2>What was measured with what</h2>
<dl class="facts">${facts(report).map(([key, value]) => `<dt>${key}</dt><dd>${escape(value)}</dd>`).join('')}</dl>
<footer>${escape(EXPLANATION.replace('In brackets: ', 'Beside each value and as a pale bar: '))}</footer>`;
  return page({ title: `Report card: ${name}`, style: STYLE, body });
}
