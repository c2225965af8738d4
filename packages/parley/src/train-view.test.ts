import { EventEmitter } from 'node:events';
import { RunHistory, type RunResult, smoothed, type TrainEvent } from '@parley/train';
import { describe, expect, test } from 'vitest';
import { displayWidth, fit, oneLine, printable, wrap } from './display-width.ts';
import { brailleCurve, sparkline } from './train-curve.ts';
import { viewPrinter } from './train-printer.ts';
import { Screen } from './train-screen.ts';
import { advance, type Line, trainView, type TrainViewState } from './train-view.ts';

const text = (lines: readonly Line[]): string[] => lines.map((line) => line.map((span) => span.text).join(''));

const source = (bits: number): { loss: number; bits_per_byte: number; targets: number; bytes: number } => ({ loss: bits, bits_per_byte: bits, targets: 1, bytes: 1 });

function events(): TrainEvent[] {
  const steps = Array.from({ length: 120 }, (_, i): TrainEvent => ({
    type: 'step', stage: 'pretrain', step: i + 1, steps: 400, tokens: i * 512, loss: 9 / (1 + i / 20), learning_rate: 2.5e-3, gradient_norm: 0.84, secondsLeft: 754,
    timing: { ms: 10, tokens_per_second: 541.3, peak_share: 0.83 },
  }));
  const measure = (step: number, bits: number): TrainEvent => ({
    type: 'held-out', stage: 'pretrain', step, tokens: 1, loss: bits, bits_per_byte: bits, sources: { wiki: source(bits + 0.5), 中文维基百科: source(bits + 1), dolly: source(bits - 0.2) },
  });
  return [
    { type: 'stage', stage: 'pretrain', steps: 400, step: 0, tokensPerStep: 512, parameters: 1000, peakGflops: 10, epochs: { wiki: 1 } },
    ...steps, measure(40, 2.1), measure(80, 1.7), measure(120, 1.8),
    { type: 'sample', stage: 'pretrain', step: 120, prompt: '你好！你叫什么名字？', text: '我叫小明，今天天气很好，我们去公园散步吧。'.repeat(6) },
    { type: 'sample', stage: 'pretrain', step: 120, prompt: 'Hello', text: 'I am\n\u001b[2Jwell \u202Eand 👩‍👩‍👧 fine' },
    { type: 'checkpoint', stage: 'pretrain', step: 100, folder: 'x' },
  ];
}

function state(more: readonly TrainEvent[] = events()): TrainViewState {
  const view: TrainViewState = {
    name: 'A model 小模型', stages: ['pretrain', 'chat'], history: new RunHistory(), smoothed, phase: null, stage: null, step: null, saved: null, skipped: 0,
    report: 'runs/tiny/report.html', stopping: false, ended: false,
  };
  for (const event of more) advance(view, event);
  return view;
}

describe('the width of a text', () => {
  test.each([
    ['plain', 5], ['中文', 4], ['你好！', 6], ['ﾊﾝｶｸ', 4], ['ｆｕｌｌ', 8], ['한국어', 6], ['é', 1], ['é', 1], ['👩‍👩‍👧', 2], ['🇨🇳', 2], ['❤️', 2], ['❤', 1], ['a\u200Bb', 2], ['⠁█━', 3], ['…“”—', 4], ['', 0],
  ])('of %j is %i columns', (shown, columns) => {
    expect(displayWidth(shown)).toBe(columns);
  });

  test('cut and wrapped texts never exceed it, lose no character but at the end, and halve none', () => {
    const sample = 'One long-ish sentence 和一些中文字符混在一起 with 👩‍👩‍👧 and é, then anunbreakablywordthatislongerthanthewidth.';
    for (let columns = 2; columns < 90; columns++) {
      expect(displayWidth(fit(sample, columns))).toBeLessThanOrEqual(columns);
      const lines = wrap(sample, columns, 1000);
      expect(Math.max(...lines.map(displayWidth))).toBeLessThanOrEqual(columns);
      expect(lines.join('').replaceAll(' ', '')).toBe(sample.replaceAll(' ', ''));
      const few = wrap(sample, columns, 2);
      expect(few.length).toBeLessThanOrEqual(2);
      expect(Math.max(...few.map(displayWidth))).toBeLessThanOrEqual(columns);
    }
    expect(fit('中文', 3)).toBe('中…');
    expect(wrap('', 10, 3)).toEqual([]);
  });

  test('what a model writes cannot move the cursor or turn the line', () => {
    expect(printable('a\u001b[31mb\u0007\rc\u009bd\u202Ee\tf\r\ng')).toBe('a[31mb\ncde f\ng');
    expect(oneLine('  a\n\n b ')).toBe('a b');
  });
});

test('a braille line goes through its highest and lowest dots, from the left edge to the right', () => {
  expect(brailleCurve([{ x: 1, y: 1 }, { x: 2, y: 0 }], { columns: 2, rows: 1, most: 2, low: 0, high: 1 })).toEqual(['⠑⢄']);
  expect(brailleCurve([{ x: 5, y: 3 }], { columns: 3, rows: 2, most: 5, low: 3, high: 3 })).toEqual(['⠀⠀⠀', '⠀⠀⢀']);
  expect(sparkline([1, 2, 3, 8], 3)).toBe('▁▂█');
  expect(sparkline([2, 2], 5)).toBe('▁▁');
});

describe('the picture', () => {
  test('of 80 columns says everything', () => {
    const lines = text(trainView(state(), { columns: 80, rows: 40 }));
    const whole = lines.join('\n');
    expect(lines[0]).toMatch(/^A model 小模型 {2}stage 1 of 2, pretrain +12 min 34 s left$/);
    expect(lines[1]).toMatch(/^━+╸?─+ 120\/400 {2}30 %$/);
    expect(whole).toMatch(/loss 1\.\d+ nats per token/);
    expect(whole).toMatch(/held-out +1\.800 {2}best 1\.700 at 80 {2}█▁▃/);
    expect(whole).toMatch(/ {2}wiki +2\.300 {2}best 2\.200 at 80/);
    expect(whole).toContain('rate 2.5e-3   gradient 0.840   541 tok/s   83 % of peak   saved at 100');
    expect(whole).toContain('› 你好！你叫什么名字？\n  我叫小明');
    expect(whole).toContain('  I am [2Jwell and 👩‍👩‍👧 fine');
    expect(lines.at(-1)).toBe('report runs/tiny/report.html');
  });

  test.each([
    [10, 40], [20, 40], [40, 40], [40, 24], [40, 8], [79, 24], [79, 14], [120, 50], [200, 60], [79, 3], [79, 0], [1, 5],
  ])('of %i columns and %i rows has no line and no number of lines over that, at any moment', (columns, rows) => {
    const all = events();
    for (const until of [0, 1, 2, 60, all.length]) {
      const lines = text(trainView(state(all.slice(0, until)), { columns, rows }));
      expect(lines.length).toBeLessThanOrEqual(rows);
      for (const line of lines) expect(displayWidth(line), line).toBeLessThanOrEqual(columns);
    }
  });

  test('keeps name, time, progress and loss where there is room for little', () => {
    const lines = text(trainView(state(), { columns: 39, rows: 8 })).join('\n');
    expect(lines).toMatch(/^A model 小模型 +12 min 34 s left\nstage 1 of 2, pretrain\n━/);
    expect(lines).toContain('loss ');
  });

  test('before the first step says what is prepared', () => {
    const view = state([{ type: 'tokenizer', phase: 'merge', done: 50, total: 200 }]);
    expect(text(trainView(view, { columns: 60, rows: 20 }))).toEqual(['A model 小模型', 'tokenizer: 50 of 200 merges', `${'━'.repeat(10)}${'─'.repeat(30)}`]);
  });

  test('counts the steps that were left out', () => {
    const view = state([...events(), { type: 'skip', stage: 'pretrain', step: 121, tokens: 1, loss: null, gradient_norm: 9, reason: 'loss NaN', skipped: 1 }]);
    expect(text(trainView(view, { columns: 80, rows: 40 })).join('\n')).toContain('1 left out');
  });
});

/** A terminal that understands what the screen writes: what is on it, from the first line. */
class FakeTerminal extends EventEmitter {
  readonly columns = 60;
  readonly rows = 20;
  written = '';
  readonly #lines: string[] = [''];
  #row = 0;
  #line = '';

  write(chunk: string): boolean {
    this.written += chunk;
    // oxlint-disable-next-line no-control-regex -- the codes of a terminal
    for (const [piece, up] of chunk.matchAll(/\u001b\[(\d+)A|\u001b\[[?\d]*[a-zA-Z]|\r|\n|[^\u001b\r\n]+/g)) {
      if (up !== undefined) this.#row = Math.max(0, this.#row - Number(up));
      else if (piece === '\n') {
        this.#row++;
        this.#lines[this.#row] ??= '';
      } else if (piece === '\u001b[J') this.#lines.splice(this.#row, Infinity, '');
      else if (piece === '\u001b[K') this.#lines[this.#row] = this.#line;
      else if (piece === '\r') this.#line = '';
      else if (!piece.startsWith('\u001b')) {
        this.#line += piece;
        this.#lines[this.#row] = this.#line;
      }
      if (piece === '\n' || up !== undefined) this.#line = '';
    }
    return true;
  }

  get screen(): string[] {
    return this.#lines;
  }
}

describe('on a terminal', () => {
  test('a picture is drawn over the last one, and what is said stays above it', () => {
    const terminal = new FakeTerminal();
    let picture: readonly string[] = ['one', 'two', 'three'];
    const screen = new Screen(terminal, () => picture.map((line): Line => [{ style: 'strong', text: line }]));
    screen.say('said first');
    picture = ['ONE', 'TWO'];
    screen.say('said second');
    expect(terminal.screen).toEqual(['said first', 'said second', 'ONE', 'TWO', '']);
    picture = ['1', '2', '3', '4'];
    terminal.emit('resize');
    expect(terminal.screen).toEqual(['said first', 'said second', '1', '2', '3', '4', '']);
    screen[Symbol.dispose]();
    expect(terminal.screen.at(-1)).toBe('');
    expect(terminal.listenerCount('resize')).toBe(0);
    expect(terminal.written).not.toContain('\u001b[?25l');
  });

  test('a whole run leaves its last picture, the notes above it and the farewell below', () => {
    const terminal = new FakeTerminal();
    const printer = viewPrinter(terminal);
    printer.say('before');
    printer.begin({ name: 'A model', stages: ['pretrain'], folder: '/nowhere', report: '/nowhere/report.html' });
    for (const event of events()) printer.event(event);
    printer.event({ type: 'note', text: 'a note' });
    printer.stopping('Stopping after this step');
    printer.end({ ended: 'aborted', runFolder: '/nowhere', modelFolder: null, stages: [] } satisfies RunResult, 'parley train x --resume');
    printer.close();
    const screen = terminal.screen.join('\n');
    expect(screen).toMatch(/^before\npretrain: 1,000 parameters.*\na note\nStopping after this step\nA model/);
    expect(screen).toMatch(/\nStopped; everything so far is in \/nowhere\. Go on with: parley train x --resume\n$/);
    expect(terminal.screen.filter((line) => line.startsWith('A model'))).toHaveLength(1);
  });
});
