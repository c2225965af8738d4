/**
 * The report of a run as one HTML page: how far it is, what it is made of, its curves, and what the model said on the way.
 * A pure function of what is known; report-writer.ts keeps the file up to date while the run goes on.
 */
import type { Manifest, ManifestSource } from '@parley/data';
import type { StageSummary } from './checkpoint.ts';
import type { Derivation, Derived } from './dial.ts';
import { type Chart, chart, type Series, written } from './report-chart.ts';
import { smoothed } from './report-curve.ts';
import type { HeldOutPoint, RunHistory, Sample } from './report-history.ts';
import { duration, embedded, escape, page, short, whole } from './report-html.ts';
import { REPORT_SCRIPT, REPORT_STYLE } from './report-script.ts';

export interface PlannedStage {
  readonly name: string;
  readonly kind: StageSummary['kind'];
  /** Null where it is given in minutes and not measured yet. */
  readonly steps: number | null;
  readonly batchTokens: number | null;
  /** What a stage given in minutes asks for. */
  readonly seconds: number | null;
  /** The norm that gradients are clipped to. */
  readonly clip: number | null;
}

export interface RunReport {
  readonly name: string;
  readonly title: string;
  readonly description: string | null;
  readonly state: 'running' | 'finished' | 'stopped' | 'failed';
  /** Why it failed, or what else is to be known of its end. */
  readonly message: string | null;
  readonly updated: Date;
  /** Seconds between two versions of the file, while running. */
  readonly refresh?: number | undefined;
  /** Empty where the recipe cannot be read. */
  readonly stages: readonly PlannedStage[];
  /** Seconds: of the stage that runs, and of the whole run where all stages' lengths are known. */
  readonly left: { readonly stage: number | null; readonly run: number | null };
  readonly parameters: number | null;
  readonly history: RunHistory;
  readonly manifest: Manifest | null;
  /** Passes over the sources that stages make, or have made: by stage, by source. */
  readonly passes: ReadonlyMap<string, Readonly<Record<string, number>>>;
  readonly results: readonly StageSummary[];
  /** The recipe as it was written, and what was derived of what it left open. */
  readonly recipe: string | null;
  readonly derived: Derived | null;
  readonly environment: readonly (readonly [string, string])[];
}

const STATES = { running: 'running', finished: 'finished', stopped: 'stopped', failed: 'failed' } as const;

/** The whole file. */
export function runReport(report: RunReport): string {
  const { history } = report;
  const charts = drawCharts(report);
  const steps: (readonly number[])[] = [];
  const data = {
    updated: report.updated.getTime(), refresh: report.state === 'running' ? (report.refresh ?? 0) : 0, most: axis(history).most,
    stages: history.stages.map(({ name, offset }) => ({ name, offset })), steps,
    charts: [...charts.values()].map(({ data: { id, format, series } }) => ({ id, format, series: series.map(({ x, y }) => ({ x: pooled(steps, x), y })) })),
  };
  const html = (id: string): string => charts.get(id)?.html ?? '';
  const small = ['rate', 'gradient', 'speed', 'share'].map(html).join('\n');
  const body = `<header><div><p class="eyebrow">Training report</p><h1>${escape(report.title)}</h1></div><span class="state ${report.state}" role="status">${stateText(report)}</span></header>
${report.description === null ? '' : `<p class="lead">${escape(report.description)}</p>`}
${report.message === null ? '' : `<p class="message">${escape(report.message)}</p>`}
<p class="message" id="stale" hidden>This page has not been renewed for some time: the run may have been killed. <code>parley train … --resume</code> goes on from its last checkpoint.</p>
${stageBars(report)}
${tiles(report)}
${history.steps === 0 && history.heldOut.length === 0 && history.scores.length === 0 ? '<p class="lead">Nothing has been measured yet.</p>' : `<main>
<h2>Learning</h2>
<div class="charts"><div class="full">${html('loss')}</div><div class="full">${html('held-out')}</div>${[...charts.keys()].filter((id) => id.startsWith('scores-')).map((id) => `<div class="full">${html(id)}</div>`).join('')}</div>
${samplesSection(report)}
<h2>How it ran</h2>
<div class="charts">${small}</div>
${marksSection(report)}
</main>`}
${dataSection(report)}
${recipeSection(report)}
<h2>Environment</h2>
<dl class="facts">${[...report.environment, ...totals(report)].map(([name, value]) => `<dt>${escape(name)}</dt><dd>${escape(value)}</dd>`).join('')}</dl>
<footer>Written ${stamp(report.updated)} by Parley from the run’s metrics.jsonl. Loss is in nats per token; bits per byte are the bits of all predicted tokens over the bytes of text, and can be compared between vocabularies.</footer>
${embedded('report-data', data)}`;
  return page({
    title: `${report.state === 'running' ? '● ' : ''}${report.title}: training report`, style: REPORT_STYLE, body, script: REPORT_SCRIPT,
    refresh: report.state === 'running' ? Math.max(10, report.refresh ?? 10) : undefined,
  });
}

/** The index of these steps among those that series share. */
function pooled(pool: (readonly number[])[], steps: readonly number[]): number {
  const same = pool.findIndex((known) => known.length === steps.length && known.every((step, i) => step === steps[i]));
  return same >= 0 ? same : pool.push(steps) - 1;
}

const stamp = (date: Date): string => `<time datetime="${date.toISOString()}">${date.toISOString().slice(0, 16).replace('T', ' ')} UTC</time>`;

function stateText({ state, left }: RunReport): string {
  if (state !== 'running') return STATES[state];
  if (left.run !== null) return `running, about ${duration(left.run)} left`;
  return left.stage === null ? 'running' : `running, about ${duration(left.stage)} left in this stage`;
}

function axis(history: RunHistory): { most: number; stages: { name: string; offset: number }[] } {
  const last = history.stages.at(-1);
  return { most: last === undefined ? 1 : Math.max(1, last.offset + last.step), stages: history.stages.map(({ name, offset }) => ({ name, offset })) };
}

/** Recipe's stages with how far each is; where the recipe is not known, those that have been measured. */
function stageBars(report: RunReport): string {
  const { history } = report;
  const planned = report.stages.length > 0 ? report.stages : history.stages.map(({ name, step }) => ({ name, kind: null, steps: step }));
  if (planned.length === 0) return '';
  const all = planned.reduce((sum, { steps }) => sum + (steps ?? 0), 0);
  return `<ol class="stages" aria-label="Stages">${planned.map(({ name, kind, steps }, i) => {
    const done = history.stages.find((stage) => stage.name === name)?.step ?? 0;
    const part = steps === null || steps === 0 ? 0 : Math.min(1, done / steps);
    const grow = steps === null || all === 0 ? 1 : Math.max(0.05, steps / all) * 20;
    return `<li style="flex:${grow.toFixed(2)} 1 0"><div class="bar"><i style="width:${(100 * part).toFixed(1)}%"></i></div>` +
      `<b>${i + 1} ${escape(name)}</b><small>${part === 1 || steps === done ? `${whole(done)} steps` : `${whole(done)} of ${steps === null ? 'as many steps as fit' : `${whole(steps)} steps`}`}${kind === null || kind === name ? '' : `, ${kind}`}</small></li>`;
  }).join('')}</ol>`;
}

function tiles(report: RunReport): string {
  const { history } = report;
  const loss = smoothed(history.loss.points).at(-1);
  const held = history.heldOut.at(-1);
  const best = held === undefined ? undefined : history.bests.get('');
  const { last } = history;
  const speed = history.seconds === 0 ? null : history.tokens / history.seconds;
  const running = report.state === 'running' && last !== null;
  const cells: [string, string, string][] = [];
  if (loss !== undefined) cells.push(['Training loss', loss.y.toFixed(3), 'nats per token, smoothed']);
  if (held !== undefined) {
    const where = best === undefined || best.step === held.step ? 'the best of this stage so far' : `best ${best.best.toFixed(3)} at step ${whole(best.step)}`;
    cells.push(['Held-out', held.bitsPerByte.toFixed(3), `bits per byte; ${report.state === 'running' || best?.step !== held.step ? where : 'the best of its stage'}`]);
  }
  const score = Object.entries(history.scores.at(-1)?.scores ?? {})[0];
  if (score !== undefined) cells.push(['Held-out items', score[1].toFixed(3), escape(score[0].replaceAll('_', ' '))]);
  if (history.steps > 0) cells.push(['Tokens learned from', short(history.tokens), `in ${whole(axis(history).most)} steps`]);
  if (speed !== null) {
    cells.push(running
      ? ['Speed', `${short(last.timing.tokens_per_second)}/s`, `tokens; ${(last.timing.peak_share * 100).toFixed(0)} % of peak`]
      : ['Speed', `${short(speed)}/s`, 'tokens, mean of all steps']);
    cells.push(['Time in steps', duration(history.seconds), `${duration(history.seconds / Math.max(1, history.steps) * 1000)} per 1,000 steps`]);
  }
  if (report.parameters !== null) cells.push(['Model', short(report.parameters), 'parameters']);
  return cells.length === 0 ? '' : `<dl class="tiles">${cells.map(([name, value, more]) => `<div><dt>${name}</dt><dd>${value}<small>${more}</small></dd></div>`).join('')}</dl>`;
}

function drawCharts(report: RunReport): ReadonlyMap<string, Chart> {
  const { history } = report;
  const place = axis(history);
  const charts = new Map<string, Chart>();
  const add = (options: Omit<Parameters<typeof chart>[0], 'axis'>): void => {
    if (options.series.some(({ points }) => points.length > 0)) charts.set(options.id, chart({ ...options, axis: place }));
  };
  const measured = (name: string, hue: number, curve: RunHistory['loss']): Series => ({ name, hue, points: smoothed(curve.points), band: curve.points });
  const heldOut = (name: string, hue: number | null, value: (point: HeldOutPoint) => number | undefined): Series => ({
    name, hue, dots: true, points: history.heldOut.flatMap((point) => {
      const y = value(point);
      return y === undefined || !Number.isFinite(y) ? [] : [{ x: point.x, y, stage: point.stage }];
    }),
  });
  const itemLoss = history.scores.map(({ x, loss, stage }) => ({ x, y: loss, stage }));
  const heldOutLoss = heldOut('held-out', 1, ({ loss }) => loss);
  add({
    id: 'loss', title: 'Loss', unit: 'nats per token', format: 'fixed3', height: 300,
    series: [measured('training', 0, history.loss), { ...heldOutLoss, points: [...heldOutLoss.points, ...itemLoss].sort((a, b) => a.x - b.x) }].filter(({ points }) => points.length > 0),
    note: 'Training: the smoothed line, with the range of single steps behind it.',
  });
  // In the order of the newest measurement, so that labels and lines match where lines end.
  const sources = [...new Set(history.heldOut.flatMap((point) => Object.keys(point.sources)))];
  const lines = sources.map((name, i) => heldOut(name, i, (point) => point.sources[name]));
  const mean = heldOut('as mixed', null, ({ bitsPerByte }) => bitsPerByte);
  add({
    id: 'held-out', title: 'Held-out text', unit: 'bits per byte, lower is better', format: 'fixed3', height: lines.length > 6 ? 340 : 260,
    series: lines.length < 2 ? [mean] : [{ ...mean, width: 2.5 }, ...lines],
    ...(history.stages.length < 2 || lines.length < 2 ? {} : { note: 'Stages mix their sources differently, and fine-tuning counts only what the assistant says: compare within a stage.' }),
  });
  for (const [i, { names, title, unit }] of scoreCharts(history).entries()) {
    add({
      id: `scores-${i}`, title, unit, format: 'fixed3', height: 200, series: names.map((name, k) => ({
        name: name.replaceAll('_', ' '), hue: k, dots: true, points: history.scores.flatMap(({ x, stage, scores }) => (scores[name] === undefined ? [] : [{ x, y: scores[name], stage }])),
      })),
    });
  }
  add({ id: 'rate', title: 'Learning rate', unit: '', format: 'short', height: 150, fromZero: true, series: [{ name: 'learning rate', hue: 2, points: history.learningRate.points.map(({ x, mean: y, stage }) => ({ x, y, stage })) }] });
  const clips = [...new Set(report.stages.map(({ clip }) => clip))];
  const [clip] = clips;
  add({
    id: 'gradient', title: 'Gradient norm', unit: 'before clipping, logarithmic', format: 'short', height: 150, log: true, series: [measured('gradient norm', 3, history.gradientNorm)],
    marks: history.marks.map(({ x, step, reason }) => ({ x, text: `step ${step} left out: ${reason}` })),
    ...(history.marked === 0 ? {} : { note: `Marked in red: ${history.marked === 1 ? 'a step that was' : `${whole(history.marked)} steps that were`} left out.` }),
    ...(clips.length === 1 && clip !== undefined && clip !== null ? { level: { y: clip, name: `clipped above ${clip}` } } : {}),
  });
  add({ id: 'speed', title: 'Speed', unit: 'tokens a second', format: 'whole', height: 150, fromZero: true, series: [measured('tokens a second', 5, history.speed)] });
  add({ id: 'share', title: 'Share of peak', unit: 'of the best rate of matrix products seen', format: 'percent', height: 150, fromZero: true, series: [measured('share of peak', 4, history.peakShare)] });
  return charts;
}

/** Shares of items go into one chart, everything else has its own scale. */
function scoreCharts({ scores }: RunHistory): { names: string[]; title: string; unit: string }[] {
  const names = [...new Set(scores.flatMap((point) => Object.keys(point.scores)))];
  const shares = names.filter((name) => /accuracy|f1|share/i.test(name));
  return [
    ...(shares.length === 0 ? [] : [{ names: shares, title: 'Held-out items', unit: 'share right, higher is better' }]),
    ...names.filter((name) => !shares.includes(name)).map((name) => ({ names: [name], title: name.replaceAll('_', ' '), unit: 'of held-out items' })),
  ];
}

const SHOWN_SAMPLES = 10;
const PROMPTS_ABREAST = 3;

/** One row a moment, one column a prompt: down a column one sees the model learn. */
function samplesSection({ history }: RunReport): string {
  const { samples, prompts } = history;
  if (samples.length === 0) return '';
  const every = Math.max(1, (samples.length - 1) / (SHOWN_SAMPLES - 1));
  const chosen = [...new Set(Array.from({ length: Math.min(SHOWN_SAMPLES, samples.length) }, (_, i) => Math.round(i * every)))].map((i) => samples[i]).filter((sample) => sample !== undefined);
  const tables = (rows: readonly Sample[]): string =>
    Array.from({ length: Math.ceil(prompts.length / PROMPTS_ABREAST) }, (_, i) => sampleTable(history, rows, prompts.slice(i * PROMPTS_ABREAST, (i + 1) * PROMPTS_ABREAST))).join('\n');
  const all = chosen.length === samples.length ? '' : `<details><summary>All ${samples.length} that are kept</summary>${tables(samples)}</details>`;
  return `<h2>What it said on the way</h2>\n<p class="soft small">The same questions at each step, answers unedited; pale where nothing changed.</p>\n${tables(chosen)}\n${all}`;
}

function sampleTable(history: RunHistory, rows: readonly Sample[], prompts: readonly string[]): string {
  const before = new Map<string, string>();
  const body = rows.map((sample) => {
    const cells = prompts.map((prompt) => {
      const answer = sample.answers.get(prompt);
      const same = answer !== undefined && before.get(prompt) === answer;
      if (answer !== undefined) before.set(prompt, answer);
      const text = answer === undefined ? '<span class="cut">–</span>' : answer.trim() === '' ? '<i class="cut">(nothing)</i>' : `<div class="say" dir="auto">${escape(answer.trim())}</div>`;
      return `<td data-prompt="${escape(prompt)}"${same ? ' class="same"' : ''}>${text}</td>`;
    });
    const measured = history.heldOut.findLast(({ x, stage }) => x <= sample.x && stage === sample.stage);
    return `<tr><th scope="row"><b>${whole(sample.step)}${history.stages.length > 1 ? ` <span>${escape(history.stages[sample.stage]?.name ?? '')}</span>` : ''}</b>${measured === undefined ? '' : ` ${written(measured.bitsPerByte, 'fixed3')} bits/byte`}</th>${cells.join('')}</tr>`;
  });
  return `<table class="samples"><colgroup><col class="at">${prompts.map(() => '<col>').join('')}</colgroup><thead><tr><th scope="col">step</th>${prompts.map((prompt) => `<th scope="col" dir="auto">${escape(prompt)}</th>`).join('')}</tr></thead><tbody>${body.join('')}</tbody></table>`;
}

function marksSection({ history }: RunReport): string {
  if (history.marked === 0) return '';
  const rows = history.marks.slice(0, 100).map(({ stage, step, reason, text }) =>
    `<tr><th scope="row">${escape(history.stages[stage]?.name ?? '')} ${whole(step)}</th><td>${escape(reason)}</td><td>${escape(text)}</td></tr>`);
  return `<h2>Steps left out</h2><p class="soft">${whole(history.marked)} in all${history.marked > rows.length ? `; the first ${rows.length} are listed` : ''}.</p>
<div class="wide"><table><thead><tr><th scope="col">step</th><th scope="col">why</th><th scope="col">measured</th></tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

function dataSection(report: RunReport): string {
  const { manifest } = report;
  if (manifest === null) return '';
  const rows = manifest.sources.map((source) => sourceRow(source, report));
  const sum = (value: (source: ManifestSource) => number): string => whole(manifest.sources.reduce((total, source) => total + value(source), 0));
  return `<h2>Data</h2>
<div class="wide"><table><thead><tr><th scope="col">source</th><th scope="col">licence</th><th scope="col" class="num">documents</th><th scope="col" class="num">tokens</th><th scope="col">passes</th><th scope="col" class="num">held out</th><th scope="col">cleaning</th></tr></thead>
<tbody>${rows.join('\n')}
<tr><th scope="row">in all</th><td></td><td class="num">${sum(({ splits }) => splits.train.documents)}</td><td class="num">${sum(({ splits }) => splits.train.tokens)}</td><td></td><td class="num">${sum(({ splits }) => splits['held-out'].documents)}</td><td></td></tr></tbody></table></div>
<p class="soft small">Vocabulary of ${whole(manifest.tokenizer.vocabSize)} tokens. ${(manifest.heldOut * 100).toLocaleString('en', { maximumFractionDigits: 2 })} % of the documents, chosen by hash, are held out where a source does not say otherwise.${screening(manifest)}</p>`;
}

/** What was looked for in all of it. */
function screening({ screened }: Manifest): string {
  const { nearDuplicates, maskedKinds, decontamination } = screened;
  return [
    nearDuplicates === null ? '' : ` Near-duplicates above a similarity of ${nearDuplicates.threshold} are dropped.`,
    maskedKinds === null ? '' : ` Masked: ${maskedKinds.map((kind) => escape(kind.replaceAll('_', ' '))).join(', ')}.`,
    decontamination === null ? '' : ` Decontaminated against ${decontamination.length === 1 ? 'one evaluation set' : `${decontamination.length} evaluation sets`}.`,
  ].join('');
}

function sourceRow(source: ManifestSource, report: RunReport): string {
  const { splits, counts } = source;
  const passes = [...report.passes].filter(([, sources]) => (sources[source.name] ?? 0) > 0)
    .map(([stage, sources]) => `${written(sources[source.name] ?? 0, 'short')}${report.passes.size > 1 ? ` <span class="soft">${escape(stage)}</span>` : ''}`);
  return `<tr><th scope="row">${escape(source.name)}${source.attribution === undefined ? '' : `<small>${escape(source.attribution)}</small>`}</th><td>${escape(source.licence ?? 'not stated')}</td>` +
    `<td class="num">${whole(splits.train.documents)}</td><td class="num">${whole(splits.train.tokens)}</td><td class="passes">${passes.join('<br>') || '–'}</td><td class="num">${whole(splits['held-out'].documents)}</td><td>${cleaning(counts)}</td></tr>`;
}

/** Everything that was counted: what was dropped and changed, and whatever later versions count beside. */
function cleaning(counts: object): string {
  const words = (name: string): string => escape(name.replaceAll('_', ' ').replaceAll(/([a-z])([A-Z])/g, (_, before: string, after: string) => `${before} ${after.toLowerCase()}`));
  const parts = Object.entries(counts as Readonly<Record<string, unknown>>).flatMap(([kind, value]) => {
    if (typeof value === 'number') return kind === 'read' || kind === 'kept' || value === 0 ? [] : [`${whole(value)} ${words(kind)}`];
    if (typeof value !== 'object' || value === null) return [];
    const inner = Object.entries(value as Readonly<Record<string, unknown>>).filter((entry): entry is [string, number] => typeof entry[1] === 'number' && entry[1] > 0);
    return inner.length === 0 ? [] : [`<span class="soft">${words(kind)}</span> ${inner.map(([reason, count]) => `${whole(count)} ${words(reason)}`).join(', ')}`];
  });
  return parts.join('<br>') || '–';
}

function recipeSection({ recipe, derived }: RunReport): string {
  const groups: [string, readonly Derivation[]][] = derived === null ? [] : [['model', derived.model], ...Object.entries(derived.stages)];
  const rows = groups.flatMap(([of, entries]) => entries.map(({ what, value, why }) =>
    `<tr><th scope="row">${escape(of)} <span class="soft">${escape(what.replaceAll('_', ' '))}</span></th><td class="num">${typeof value === 'number' ? (Number.isInteger(value) ? whole(value) : written(value, 'short')) : escape(value)}</td><td>${escape(why)}</td></tr>`));
  if (recipe === null && rows.length === 0) return '';
  return `<h2>Recipe</h2>
${rows.length === 0 ? '' : `<details><summary>What it left open, and how that was chosen (${rows.length})</summary><div class="wide"><table><thead><tr><th scope="col">what</th><th scope="col" class="num">value</th><th scope="col">because</th></tr></thead><tbody>${rows.join('')}</tbody></table></div></details>`}
${recipe === null ? '' : `<details><summary>As it was written</summary><pre tabindex="0">${escape(recipe)}</pre></details>`}`;
}

function totals({ history, results }: RunReport): [string, string][] {
  const rows: [string, string][] = [];
  for (const { name, step, tokens } of history.stages) {
    const result = results.find(({ stage }) => stage === name);
    rows.push([`stage ${name}`, `${whole(step)} steps, ${whole(tokens)} tokens${result === undefined ? '' : `, context ${whole(result.contextLength)}`}${result?.bitsPerByte === null || result === undefined ? '' : `, held-out ${result.bitsPerByte.toFixed(3)} bits per byte`}`]);
  }
  if (history.steps > 0) rows.push(['in all', `${whole(axis(history).most)} steps, ${whole(history.tokens)} tokens, ${duration(history.seconds)} in steps`]);
  return rows;
}
