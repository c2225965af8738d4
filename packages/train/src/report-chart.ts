/**
 * A chart of the report: lines over the steps as an SVG that stretches with the page, its letters as HTML that does not, so that
 * it reads the same on a phone. It is whole without a script; REPORT_SCRIPT (report-script.ts) adds the read-out under the pointer.
 */
import { escape, extremes, label, logTicks, niceTicks } from './chart.ts';
import { HUES, whole } from './report-html.ts';

/** How values are written in the read-out, the legend and the table; the script knows the same four. */
export type ValueFormat = 'fixed3' | 'whole' | 'percent' | 'short';

export interface SeriesPoint { readonly x: number; readonly y: number; readonly stage: number }

export interface Series {
  readonly name: string;
  /** Index of its hue; null for the ink of the text. */
  readonly hue: number | null;
  /** Broken between stages. */
  readonly points: readonly SeriesPoint[];
  /** Lows and highs, drawn pale behind the lines. */
  readonly band?: readonly { readonly x: number; readonly low: number; readonly high: number; readonly stage: number }[];
  readonly dots?: boolean;
  readonly width?: number;
}

export interface ChartOptions {
  /** Of the element; letters and dashes. */
  readonly id: string;
  readonly title: string;
  /** What is measured, after the title. */
  readonly unit: string;
  readonly series: readonly Series[];
  readonly format: ValueFormat;
  readonly height: number;
  /** Last step of the axis, and where stages begin on it. */
  readonly axis: { readonly most: number; readonly stages: readonly { readonly name: string; readonly offset: number }[] };
  readonly log?: boolean;
  readonly fromZero?: boolean;
  /** Steps to mark, with what is said of them. */
  readonly marks?: readonly { readonly x: number; readonly text: string }[];
  /** A level to compare with. */
  readonly level?: { readonly y: number; readonly name: string };
  readonly note?: string;
}

export interface Chart {
  readonly html: string;
  /** For the script: of each series its steps and values. */
  readonly data: { readonly id: string; readonly format: ValueFormat; readonly series: readonly { readonly x: readonly number[]; readonly y: readonly number[] }[] };
}

export function chart(options: ChartOptions): Chart {
  const { id, series, format, height, axis } = options;
  const scale = verticalScale(options);
  const toX = (x: number): number => (1000 * x) / Math.max(1, axis.most);
  // What lies outside is drawn on the edge.
  const toY = (y: number): number => Math.max(0, Math.min(1000, 1000 * (1 - scale.at(y))));
  const colour = (line: Series): string => (line.hue === null ? 'var(--ink)' : `var(--c${line.hue % HUES})`);
  const marks = options.marks ?? [];
  const shapes = [
    ...scale.ticks.map((tick) => `<path class="g" d="M0 ${fixed(toY(tick))}H1000"/>`),
    ...axis.stages.slice(1).map(({ offset }) => `<path class="s" d="M${fixed(toX(offset))} 0V1000"/>`),
    ...(options.level === undefined ? [] : [`<path class="l" d="M0 ${fixed(toY(options.level.y))}H1000"/>`]),
    ...series.filter((line) => line.band !== undefined).map((line) => `<path d="${area(line.band ?? [], toX, toY)}" class="r" style="--hue:${colour(line)}"/>`),
    ...marks.map(({ x, text }) => `<path class="m" d="M${fixed(toX(x))} 0V1000"><title>${escape(text)}</title></path>`),
    ...series.map((line) => `<path class="c" d="${path(line.points, toX, toY)}" style="stroke:${colour(line)}" stroke-width="${line.width ?? 1.75}"` +
      `${line.hue !== null && line.hue >= HUES ? ' stroke-dasharray="5 3"' : ''}><title>${escape(line.name)}</title></path>` +
      (line.dots === true && line.points.length <= 120 ? `<path class="c" d="${line.points.map((p) => `M${fixed(toX(p.x))} ${fixed(toY(p.y))}h0`).join('')}" style="stroke:${colour(line)}" stroke-width="5"/>` : '')),
  ];
  const ends = series.length < 2 ? [] : spread(series.map((line) => (toY(line.points.at(-1)?.y ?? 0) / 1000) * height), height);
  const shown = (line: Series): string => (line.points.length === 0 ? '–' : written(line.points.at(-1)?.y ?? 0, format));
  const entry = (line: Series, i: number, style: string): string =>
    `<li style="${style}--hue:${colour(line)}"${line.hue !== null && line.hue >= HUES ? ' class="dash"' : ''}><span>${escape(line.name)}</span> <b data-v="${i}">${shown(line)}</b></li>`;
  const describe = `${options.title}, ${options.unit}, over ${whole(axis.most)} steps. ` +
    series.map((line) => `${line.name}: from ${line.points[0] === undefined ? '–' : written(line.points[0].y, format)} to ${shown(line)}`).join('; ');
  const html = `<figure class="chart${series.length > 1 ? ' many' : ''}" id="${id}" data-chart="${id}">
<figcaption><h3>${escape(options.title)} <span class="unit">${escape(options.unit)}</span></h3>${series.length === 1 && series[0] !== undefined ? `<b class="now" data-v="0">${shown(series[0])}</b>` : ''}</figcaption>
${series.length > 1 ? `<ul class="legend">${series.map((line, i) => entry(line, i, '')).join('')}</ul>` : ''}
<div class="plot"><div class="area" style="height:${height}px" tabindex="0" role="group" aria-label="${escape(options.title)}: arrow keys read values">
<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label="${escape(describe)}"><title>${escape(options.title)}</title>${shapes.join('')}</svg>
${scale.ticks.map((tick) => `<span class="yt" style="top:${fixed(toY(tick) / 10)}%">${label(tick)}${format === 'percent' ? ' %' : ''}</span>`).join('')}
${stepTicks(axis.most).map((tick, i) => `<span class="xt${i % 2 === 1 ? ' odd' : ''}" style="left:${fixed(toX(tick) / 10)}%">${label(tick)}</span>`).join('')}
${axis.stages.length < 2 ? '' : axis.stages.map(({ name, offset }, i) => stageName(name, i, offset, { most: axis.most, next: axis.stages[i + 1]?.offset ?? axis.most })).join('')}
${options.level === undefined ? '' : `<span class="lv" style="top:${fixed(toY(options.level.y) / 10)}%">${escape(options.level.name)}</span>`}
${marks.map(({ x }) => `<i class="mk" style="left:${fixed(toX(x) / 10)}%"></i>`).join('')}
${ends.length === 0 ? '' : `<ul class="ends">${series.map((line, i) => entry(line, i, `top:${fixed(ends[i] ?? 0)}px;`)).join('')}</ul>`}
<i class="cursor" hidden></i><span class="tip" hidden></span></div></div>
${options.note === undefined ? '' : `<p class="note">${escape(options.note)}</p>`}
<details class="data"><summary>Figures</summary><div class="wide">${table(options)}</div></details>
</figure>`;
  return { html, data: { id, format, series: series.map(({ points }) => ({ x: points.map(({ x }) => x), y: points.map(({ y }) => Number(y.toPrecision(5))) })) } };
}

export function written(value: number, format: ValueFormat): string {
  switch (format) {
    case 'fixed3':
      return value.toFixed(3);
    case 'whole':
      return whole(value);
    case 'percent':
      return `${value.toFixed(0)} %`;
    case 'short':
      return short3(value);
    default:
      return format satisfies never;
  }
}

/** Three digits, whatever the size. */
const short3 = (value: number): string => (value !== 0 && Math.abs(value) < 0.01 ? value.toExponential(2) : Number(value.toPrecision(3)).toString());
const fixed = (value: number): string => String(Math.round(value * 10) / 10);

interface Scale {
  /** 0 at the bottom, 1 at the top. */
  at(y: number): number;
  readonly ticks: readonly number[];
}

function verticalScale({ series, log, fromZero, level, height }: ChartOptions): Scale {
  const lines = series.flatMap(({ points }) => points.map(({ y }) => y));
  // Single outliers may leave the picture at the top; what the lines say stays in.
  const ranked = Float64Array.from(series.flatMap(({ band }) => band ?? []).flatMap(({ low, high }) => [low, high])).sort();
  const inner = [ranked[Math.floor(ranked.length * 0.02)], ranked[Math.ceil(ranked.length * 0.98) - 1]].filter((y) => y !== undefined);
  const values = [...lines, ...inner, ...(level === undefined ? [] : [level.y])].filter((y) => Number.isFinite(y) && (log !== true || y > 0));
  let [low, high] = extremes(values);
  if (log === true && values.length > 0) {
    if (high / low < 4) [low, high] = [low / 2, high * 2];
    const [from, to] = [Math.log10(low), Math.log10(high)];
    return { at: (y) => (Math.log10(Math.max(y, 1e-300)) - from) / (to - from), ticks: logTicks(low, high) };
  }
  if (fromZero === true) low = Math.min(0, low);
  if (high === low) high = low + (Math.abs(low) || 1) * 0.1;
  const ticks = niceTicks(low, high, height > 200 ? 5 : 3);
  low = Math.min(low, ticks[0] ?? low);
  high = Math.max(high, ticks.at(-1) ?? high);
  return { at: (y) => (y - low) / (high - low), ticks };
}

function stepTicks(most: number): number[] {
  return niceTicks(0, Math.max(1, most), 6).filter((tick) => tick <= most * 1.001 && Number.isInteger(tick));
}

function path(points: readonly SeriesPoint[], toX: (x: number) => number, toY: (y: number) => number): string {
  return points.map((point, i) => {
    const begins = points[i - 1]?.stage !== point.stage;
    // A stage of one point is a dot, which a round line of no length is.
    const alone = begins && points[i + 1]?.stage !== point.stage;
    return `${begins ? 'M' : 'L'}${fixed(toX(point.x))} ${fixed(toY(point.y))}${alone ? 'h0' : ''}`;
  }).join('');
}

/** One closed shape a stage: the highs forwards, the lows back. */
function area(band: NonNullable<Series['band']>, toX: (x: number) => number, toY: (y: number) => number): string {
  return [...new Set(band.map(({ stage }) => stage))].map((stage) => {
    const own = band.filter((point) => point.stage === stage);
    const there = own.map(({ x, high }) => `${fixed(toX(x))} ${fixed(toY(high))}`);
    const back = own.toReversed().map(({ x, low }) => `${fixed(toX(x))} ${fixed(toY(low))}`);
    return `M${[...there, ...back].join('L')}Z`;
  }).join('');
}

/** The number of a stage, and its name where there is room on a page of usual width. */
function stageName(name: string, index: number, from: number, place: { most: number; next: number }): string {
  const room = ((place.next - from) / Math.max(1, place.most)) * 420;
  return `<span class="st" style="left:${fixed((100 * from) / Math.max(1, place.most))}%" title="${escape(name)}">${index + 1}${room > name.length * 7 + 16 ? `<span> ${escape(name)}</span>` : ''}</span>`;
}

/** Places for labels of 17 pixels near where they belong, none over another, all within the height where that is possible. */
export function spread(wanted: readonly number[], height: number, room = 17): number[] {
  const order = wanted.map((y, i) => ({ y, i })).sort((a, b) => a.y - b.y);
  let floor = -Infinity;
  for (const label of order) floor = label.y = Math.max(label.y, floor + room);
  let ceiling = height + room;
  for (const label of order.toReversed()) ceiling = label.y = Math.min(label.y, ceiling - room);
  const places = Array.from(wanted, () => 0);
  for (const { y, i } of order) places[i] = y;
  return places;
}

const MOST_ROWS = 24;

/** The same as numbers: at most MOST_ROWS of the steps of the series that has the fewest. */
function table({ series, format, axis, title }: ChartOptions): string {
  const present = series.filter(({ points }) => points.length > 0);
  const rows = present.toSorted((a, b) => a.points.length - b.points.length)[0]?.points ?? [];
  const every = Math.max(1, (rows.length - 1) / (MOST_ROWS - 1));
  const places = [...new Set(Array.from({ length: Math.min(MOST_ROWS, rows.length) }, (_, i) => Math.round(i * every)))];
  const cell = (line: Series, row: SeriesPoint): string => {
    const found = line.points.findLast((point) => point.x <= row.x && point.stage === row.stage);
    return `<td class="num">${found === undefined ? '–' : written(found.y, format)}</td>`;
  };
  const body = places.map((place) => rows[place]).filter((row) => row !== undefined).map((row) => {
    const stage = axis.stages[row.stage];
    return `<tr><th scope="row">${whole(row.x - (stage?.offset ?? 0))}</th>${axis.stages.length > 1 ? `<td>${escape(stage?.name ?? '')}</td>` : ''}${present.map((line) => cell(line, row)).join('')}</tr>`;
  });
  return `<table aria-label="${escape(title)}"><thead><tr><th scope="col">step</th>${axis.stages.length > 1 ? '<th scope="col">stage</th>' : ''}${present.map(({ name }) => `<th scope="col" class="num">${escape(name)}</th>`).join('')}</tr></thead><tbody>${body.join('')}</tbody></table>`;
}
