/**
 * Training on a terminal: what is known, as lines. A pure function of its state; train-screen.ts puts the lines where the last
 * ones were.
 */
import type { RunHistory, smoothed as smoothedCurve, TrainEvent } from '@parley/train';
import { displayWidth, fit, oneLine, wrap } from './display-width.ts';
import { brailleCurve, sparkline } from './train-curve.ts';
import { duration } from './wording.ts';

export type Style = 'plain' | 'strong' | 'pale' | 'curve' | 'other';
export interface Span { readonly text: string; readonly style: Style }
export type Line = readonly Span[];

export interface TrainViewState {
  name: string;
  /** Names of the recipe's stages. */
  stages: readonly string[];
  history: RunHistory;
  readonly smoothed: typeof smoothedCurve;
  /** What goes on before the first stage. */
  phase: { readonly text: string; readonly done: number | null } | null;
  stage: { readonly name: string; readonly steps: number } | null;
  /** The last step. */
  step: Extract<TrainEvent, { type: 'step' }> | null;
  saved: number | null;
  skipped: number;
  report: string | null;
  stopping: boolean;
  /** Nothing more is going to come. */
  ended: boolean;
}

/** Takes in an event. Those that are only said once (notes, checkpoints of the past) are not its business. */
export function advance(state: TrainViewState, event: TrainEvent): void {
  switch (event.type) {
    case 'tokenizer':
      state.phase = {
        text: event.phase === 'count' ? `tokenizer: ${event.done.toLocaleString('en')} MB read` : `tokenizer: ${event.done.toLocaleString('en')} of ${event.total.toLocaleString('en')} merges`,
        done: event.total === 0 ? null : Math.min(1, event.done / event.total),
      };
      return;
    case 'prepare':
      state.phase = { text: `data: ${event.source}, ${event.documents.toLocaleString('en')} documents, ${event.tokens.toLocaleString('en')} tokens`, done: null };
      return;
    case 'stage':
      state.phase = null;
      state.stage = { name: event.stage, steps: event.steps };
      state.step = null;
      state.saved = null;
      state.skipped = 0;
      return;
    case 'step':
      state.step = event;
      state.history.add(event);
      return;
    case 'skip':
      state.skipped = event.skipped;
      state.history.add(event);
      return;
    case 'held-out':
    case 'scores':
    case 'sample':
      state.history.add(event);
      return;
    case 'checkpoint':
      state.saved = event.step;
      return;
    case 'note': case 'derived': case 'estimate': case 'stage-end': case 'export':
      return;
    default:
      event satisfies never;
  }
}

/** At most `rows` lines of at most `columns` each; what matters least goes first where there is no room for all. */
export function trainView(state: TrainViewState, { columns, rows }: { columns: number; rows: number }): Line[] {
  const plans = [
    { curve: 5, sources: 8, samples: 3, report: true }, { curve: 4, sources: 6, samples: 2, report: true }, { curve: 3, sources: 4, samples: 1, report: true },
    { curve: 3, sources: 0, samples: 1, report: true }, { curve: 2, sources: 0, samples: 0, report: false }, { curve: 0, sources: 0, samples: 0, report: false },
  ];
  let lines: Line[] = [];
  for (const plan of plans) {
    lines = layOut(state, columns, plan);
    if (lines.length <= rows) return lines;
  }
  return lines.slice(0, Math.max(0, rows));
}

interface Plan { readonly curve: number; readonly sources: number; readonly samples: number; readonly report: boolean }

function layOut(state: TrainViewState, columns: number, plan: Plan): Line[] {
  return [
    ...head(state, columns),
    ...lossCurve(state, columns, plan.curve),
    ...heldOut(state, columns, plan.sources),
    ...chips(facts(state), columns),
    ...samples(state, columns, plan.samples),
    ...(plan.report && state.report !== null && state.stage !== null && !state.ended ? [[span('pale', fit('report ', columns)), span('pale', tail(state.report, columns - 7))]] : []),
  ];
}

const span = (style: Style, text: string): Span => ({ style, text });
const widthOf = (line: Line): number => line.reduce((sum, { text }) => sum + displayWidth(text), 0);

/** The end of a path is what tells it from others. */
function tail(text: string, columns: number): string {
  const width = displayWidth(text);
  return width <= columns ? text : columns < 2 ? '' : `…${text.slice(text.length - columns + 1)}`;
}

/** Left and right on one line; what of the left has no room is cut. */
function ends(left: Line, right: Line, columns: number): Line {
  const shown = cut(left, columns - widthOf(right) - 2);
  const room = columns - widthOf(shown) - widthOf(right);
  return room < 2 ? cut(right, columns) : [...shown, span('plain', ' '.repeat(room)), ...right];
}

function cut(line: Line, columns: number): Line {
  const out: Span[] = [];
  let room = columns;
  for (const { style, text } of line) {
    const shown = fit(text, room);
    if (shown === '') break;
    out.push(span(style, shown));
    room -= displayWidth(shown);
  }
  return out;
}

function head(state: TrainViewState, columns: number): Line[] {
  const { stage, step, phase } = state;
  const name = span('strong', fit(oneLine(state.name), columns));
  if (stage === null) {
    const bar = phase === null || phase.done === null ? [] : [progressBar(phase.done, Math.min(columns, 40))];
    return [[name], ...(phase === null ? [] : [[span('plain', fit(oneLine(phase.text), columns))]]), ...bar];
  }
  const place = state.stages.length > 1 ? `stage ${state.stages.indexOf(stage.name) + 1} of ${state.stages.length}, ${stage.name}` : stage.name;
  const time = span('strong', state.ended ? '' : state.stopping ? 'stopping' : step === null ? 'starting' : `${duration(step.secondsLeft)} left`);
  const title = [name, span('pale', `  ${oneLine(place)}`)];
  const done = step?.step ?? 0;
  const counted = ` ${done.toLocaleString('en')}/${stage.steps.toLocaleString('en')}  ${Math.floor((100 * done) / Math.max(1, stage.steps))} %`;
  return [
    ...(widthOf(title) + 2 + widthOf([time]) <= columns ? [ends(title, [time], columns)] : [ends([name], [time], columns), [span('pale', fit(oneLine(place), columns))]]),
    [...progressBar(done / Math.max(1, stage.steps), Math.max(0, columns - displayWidth(counted))), span('plain', fit(counted, columns))],
  ];
}

function progressBar(share: number, columns: number): Line {
  const halves = Math.round(Math.max(0, Math.min(1, share)) * columns * 2);
  const full = '━'.repeat(halves >> 1) + (halves % 2 === 1 ? '╸' : '');
  return [span('curve', full), span('pale', '─'.repeat(columns - full.length))];
}

const digits = (value: number): string => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));

/** Training loss over the run so far, its highest and lowest beside it. */
function lossCurve({ history, smoothed }: TrainViewState, columns: number, rows: number): Line[] {
  const points = smoothed(history.loss.points);
  const last = points.at(-1);
  if (last === undefined) return [];
  const title: Line = [span('plain', 'loss '), span('strong', last.y.toFixed(3)), span('pale', ' nats per token, smoothed')];
  if (rows === 0) return [cut(title, columns)];
  const values = points.map(({ y }) => y);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = Math.max(displayWidth(digits(low)), displayWidth(digits(high))) + 1;
  if (columns < margin + 8) return [cut(title, columns)];
  const curve = brailleCurve(points, { columns: columns - margin, rows, most: last.x, low, high });
  return [
    cut(title, columns),
    ...curve.map((text, i) => [span('pale', (i === 0 ? digits(high) : i === rows - 1 ? digits(low) : '').padStart(margin - 1) + ' '), span('curve', text)]),
  ];
}

function heldOut({ history }: TrainViewState, columns: number, most: number): Line[] {
  const last = history.heldOut.at(-1);
  if (last === undefined) return [];
  const own = history.heldOut.filter(({ stage }) => stage === last.stage);
  const row = (name: string, value: number, key: string, values: readonly number[], width: number): Line => {
    const best = history.bests.get(key);
    const label = fit(key === '' ? name : `  ${oneLine(name)}`, width);
    const left: Span[] = [
      span(key === '' ? 'plain' : 'pale', label + ' '.repeat(Math.max(0, width - displayWidth(label)) + 1)), span(key === '' ? 'strong' : 'plain', value.toFixed(3)),
    ];
    const beside: Line[] = [
      [...left, span('pale', best === undefined ? '' : `  best ${best.best.toFixed(3)}${best.step === last.step ? '' : ` at ${best.step.toLocaleString('en')}`}`)],
      left,
    ];
    const chosen = beside.find((line) => widthOf(line) <= columns) ?? cut(left, columns);
    const room = columns - widthOf(chosen) - 2;
    return values.length > 1 && room >= 4 ? [...chosen, span('plain', '  '), span('other', sparkline(values, Math.min(room, 24)))] : chosen;
  };
  const names = Object.keys(last.sources);
  const shown = names.length < 2 ? [] : names.slice(0, names.length > most ? Math.max(0, most - 1) : most);
  const width = Math.min(Math.max(8, ...shown.map((name) => displayWidth(oneLine(name)) + 2)), Math.max(8, Math.floor(columns / 2) - 4));
  const lines = [row('held-out', last.bitsPerByte, '', own.map(({ bitsPerByte }) => bitsPerByte), width)];
  const first = lines[0] ?? [];
  const unit = '  bits per byte';
  if (widthOf(first) + unit.length <= columns) lines[0] = [...first, span('pale', unit)];
  for (const name of shown) {
    lines.push(row(name, last.sources[name] ?? 0, name, own.flatMap((point) => point.sources[name] ?? []), width));
  }
  if (most > 0 && shown.length > 0 && shown.length < names.length) lines.push([span('pale', fit(`  and ${names.length - shown.length} more sources`, columns))]);
  return lines;
}

function facts({ step, saved, skipped, history }: TrainViewState): Line[] {
  if (step === null) return [];
  const { timing } = step;
  const newest = history.scores.at(-1);
  const scores = newest === undefined || history.stages[newest.stage]?.name !== step.stage ? {} : newest.scores;
  return [
    ...Object.entries(scores).map(([name, value]) => [span('pale', `${oneLine(name.replaceAll('_', ' '))} `), span('strong', value.toFixed(3))]),
    [span('pale', 'rate '), span('plain', step.learning_rate.toExponential(1))],
    [span('pale', 'gradient '), span('plain', step.gradient_norm.toPrecision(3))],
    [span('plain', Math.round(timing.tokens_per_second).toLocaleString('en')), span('pale', ' tok/s')],
    [span('plain', `${(timing.peak_share * 100).toFixed(0)} %`), span('pale', ' of peak')],
    ...(skipped === 0 ? [] : [[span('other', `${skipped.toLocaleString('en')} left out`)]]),
    ...(saved === null ? [] : [[span('pale', `saved at ${saved.toLocaleString('en')}`)]]),
  ];
}

/** As many on a line as fit. */
function chips(all: readonly Line[], columns: number): Line[] {
  const lines: Line[] = [];
  for (const chip of all) {
    const last = lines.at(-1);
    if (last !== undefined && widthOf(last) + 3 + widthOf(chip) <= columns) lines[lines.length - 1] = [...last, span('plain', '   '), ...chip];
    else lines.push(cut(chip, columns));
  }
  return lines;
}

/** The newest answers, with two lines each. */
function samples({ history }: TrainViewState, columns: number, most: number): Line[] {
  return [...(history.samples.at(-1)?.answers ?? [])].slice(0, most).flatMap(([prompt, answer]) => {
    const said = wrap(oneLine(answer), columns - 2, 2);
    return [[span('pale', '› '), span('pale', fit(oneLine(prompt), columns - 2))], ...(said.length === 0 ? ['(nothing)'] : said).map((line) => [span('plain', `  ${line}`)])];
  });
}
