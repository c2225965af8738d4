/**
 * What `parley train` prints: JSON lines; lines for a log; or, on a terminal, a picture that is drawn over (train-view.ts) with the
 * lines that are said once above it.
 */
import { pathToFileURL } from 'node:url';
import { readHistory, RunHistory, type RunResult, smoothed, type TrainEvent } from '@parley/train';
import { printable } from './display-width.ts';
import { Screen, type Terminal } from './train-screen.ts';
import { advance, trainView, type TrainViewState } from './train-view.ts';
import { count, duration, quoted, shown } from './wording.ts';

export interface Printer {
  say(text: string): void;
  /** The run is known, before its first event. */
  begin(run: { name: string; stages: readonly string[]; folder: string; report: string }): void;
  /** Told to stop, once the step is done. */
  stopping(text: string): void;
  event(event: TrainEvent): void;
  end(result: RunResult, again: string): void;
  close(): void;
}

export interface PrinterOptions {
  readonly json: boolean;
  /** Lines even on a terminal. */
  readonly plain: boolean;
}

/** A terminal that takes pictures, and nobody who asked for none (NO_COLOR, CI). */
const takesPictures = ({ env, stderr }: NodeJS.Process): boolean => stderr.isTTY && !env['NO_COLOR'] && !env['CI'] && env['TERM'] !== 'dumb';

export function makePrinter({ json, plain }: PrinterOptions): Printer {
  if (json) return jsonPrinter();
  return plain || !takesPictures(process) ? linePrinter((text) => void process.stderr.write(`${text}\n`)) : viewPrinter(process.stderr);
}

function jsonPrinter(): Printer {
  const print = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
  return {
    say: (text) => print({ type: 'note', text }),
    stopping: (text) => print({ type: 'note', text }),
    begin: () => {},
    event: print,
    end: (result) => print({ type: 'end', ...result }),
    close: () => {},
  };
}

/** Milliseconds between two lines of progress. */
const PROGRESS = 10_000;

/** Steps are printed every ten seconds, so that logs stay readable. */
function linePrinter(line: (text: string) => void): Printer {
  let last = 0;
  let report: string | null = null;
  const progress = (text: string, always = false): void => {
    if (!always && performance.now() - last < PROGRESS) return;
    last = performance.now();
    line(text);
  };
  return {
    say: line, stopping: line,
    begin: (run) => {
      ({ report } = run);
    },
    close: () => {},
    end: (result, again) => farewell(result, again, line),
    event: (event) => {
      const once = saidOnce(event);
      if (event.type === 'stage' && report !== null) {
        line(`Watch it in a browser: ${pathToFileURL(report).href}`);
        report = null;
      }
      if (once !== null) return once.forEach(line);
      switch (event.type) {
        case 'tokenizer':
          return progress(`tokenizer: ${event.done.toLocaleString('en')} of ${event.total.toLocaleString('en')} ${event.phase === 'count' ? 'MB read at most' : 'merges'}`);
        case 'prepare':
          return progress(`data: ${event.source}, ${event.documents.toLocaleString('en')} documents, ${event.tokens.toLocaleString('en')} tokens`);
        case 'step':
          // The last one always: it is what training came to.
          return progress(
            `${event.stage} ${event.step}/${event.steps}  loss ${event.loss.toFixed(3)}  lr ${event.learning_rate.toExponential(2)}  ` +
              `grad ${event.gradient_norm.toFixed(2)}  ${Math.round(event.timing.tokens_per_second).toLocaleString('en')} tok/s  ` +
              `${(event.timing.peak_share * 100).toFixed(0)} % of peak  ${duration(event.secondsLeft)} left`,
            event.step === 1 || event.step === event.steps,
          );
        case 'held-out':
          return line(`${event.stage} ${event.step}: held-out loss ${event.loss.toFixed(3)}, ${event.bits_per_byte.toFixed(3)} bits per byte`);
        case 'scores':
          return line(`${event.stage} ${event.step}: ${count(event.items, 'held-out item')}, loss ${event.loss.toFixed(3)}, ${Object.entries(event.scores).map(([name, value]) => `${name.replaceAll('_', ' ')} ${value.toFixed(3)}`).join(', ')}`);
        case 'sample':
          return line(`  › ${printable(event.prompt)}\n    ${printable(event.text).trim().replaceAll('\n', '\n    ')}`);
        case 'checkpoint':
          return line(`checkpoint: ${shown(event.folder)}`);
        case 'note': case 'estimate': case 'derived': case 'skip': case 'stage': case 'stage-end': case 'export':
          return undefined;
        default:
          return event satisfies never;
      }
    },
  };
}

/** A picture at the bottom of the terminal. */
export function viewPrinter(terminal: Terminal): Printer {
  const state: TrainViewState = {
    name: '', stages: [], history: new RunHistory(), smoothed, phase: null, stage: null, step: null, saved: null, skipped: 0, report: null, stopping: false, ended: false,
  };
  // Until the run is known there is nothing to draw.
  const screen = new Screen(terminal, (size) => (state.name === '' ? [] : trainView(state, size)));
  let open = true;
  let folder = '';
  const close = (): void => {
    if (!open) return;
    open = false;
    state.ended = true;
    screen[Symbol.dispose]();
  };
  const say = (text: string): void => {
    if (open) screen.say(printable(text));
    else terminal.write(`${printable(text)}\n`);
  };
  return {
    say, close,
    begin: ({ name, stages, folder: output, report }) => {
      folder = output;
      Object.assign(state, { name, stages, report: shown(report) });
      screen.draw();
    },
    stopping: (text) => {
      state.stopping = true;
      say(text);
    },
    event: (event) => {
      if (event.type === 'stage' && state.stage === null) state.history = readHistory(folder); // Of a run that goes on.
      advance(state, event);
      const once = saidOnce(event);
      if (once === null) screen.draw();
      else once.forEach(say);
      if (event.type === 'stage-end') {
        const { stage, steps, bitsPerByte } = event.summary;
        say(`${stage}: ${steps.toLocaleString('en')} steps done${bitsPerByte === null ? '' : `, held-out ${bitsPerByte.toFixed(3)} bits per byte`}`);
      }
    },
    end: (result, again) => {
      close();
      farewell(result, again, say);
    },
  };
}

/** Lines that stay, whatever else is shown; null: not of that kind. */
function saidOnce(event: TrainEvent): string[] | null {
  switch (event.type) {
    case 'note':
      return [event.text];
    case 'estimate':
      return [
        `${event.stage}: ${event.steps.toLocaleString('en')} steps, ${event.tokens.toLocaleString('en')} tokens, about ${duration(event.seconds)} ` +
          '(measured on the first batches)',
      ];
    case 'derived':
      return event.derived.map(({ what, value, why }) => `derived: ${event.of} ${what} ${typeof value === 'number' ? value.toLocaleString('en', { maximumSignificantDigits: 9 }) : value}, because: ${why}`);
    case 'skip':
      return [`${event.stage} ${event.step}: left out, ${event.reason}; nothing was learned of it (${count(event.skipped, 'step')} so far)`];
    case 'stage': {
      const epochs = Object.entries(event.epochs).map(([source, times]) => `${source} ×${times}`).join(', ');
      return [
        `${event.stage}: ${event.parameters.toLocaleString('en')} parameters, ${event.steps.toLocaleString('en')} steps of ${event.tokensPerStep.toLocaleString('en')} tokens` +
          `${event.step > 0 ? `, from step ${event.step}` : ''}; passes: ${epochs}; ` +
          `this machine multiplies at ${event.peakGflops.toFixed(1)} GFLOP/s or more`,
      ];
    }
    case 'tokenizer': case 'prepare': case 'step': case 'held-out': case 'scores': case 'sample': case 'checkpoint': case 'stage-end': case 'export':
      return null;
    default:
      return event satisfies never;
  }
}

function farewell(result: RunResult, again: string, line: (text: string) => void): void {
  if (result.ended === 'aborted') line(`Stopped; everything so far is in ${shown(result.runFolder)}. Go on with: ${again}`);
  else if (result.modelFolder !== null && result.adapterOf !== undefined) {
    line(`The adapter is in ${shown(result.modelFolder)}. Talk to it: parley chat --model ${quoted(shown(result.adapterOf))} --adapter ${quoted(shown(result.modelFolder))}`);
  } else if (result.stages[0]?.kind === 'classify' && result.modelFolder !== null) {
    line(`The classifier is in ${shown(result.modelFolder)}. Ask it: parley classify --model ${quoted(shown(result.modelFolder))} "a text"`);
  } else if (result.modelFolder !== null) line(`The model is in ${shown(result.modelFolder)}. Talk to it: parley chat --model ${quoted(shown(result.modelFolder))}`);
}
