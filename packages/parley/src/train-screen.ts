/** Lines at the bottom of a terminal that are written over, with what is said once above them. */
import { displayWidth } from './display-width.ts';
import type { Line, Style } from './train-view.ts';

const CODES: Readonly<Record<Style, readonly [string, string]>> = {
  plain: ['', ''], strong: ['\u001b[1m', '\u001b[22m'], pale: ['\u001b[2m', '\u001b[22m'], curve: ['\u001b[36m', '\u001b[39m'], other: ['\u001b[33m', '\u001b[39m'],
};

const coloured = (line: Line): string => line.map(({ style, text }) => `${CODES[style][0]}${text}${CODES[style][1]}`).join('');

/** What of a tty's stream the screen needs. */
export interface Terminal {
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
}

/** Milliseconds between two pictures. */
const FRAME = 100;

/**
 * The cursor stays on the line below the picture and is never hidden, so whenever the process ends, the terminal is as it should be.
 * A picture is one write, in a synchronized update where the terminal knows those.
 */
export class Screen implements Disposable {
  readonly #out: Terminal;
  readonly #picture: (size: { columns: number; rows: number }) => readonly Line[];
  /** Columns of the lines that are on the screen. */
  #widths: readonly number[] = [];
  #timer: NodeJS.Timeout | null = null;
  #last = -Infinity;
  readonly #onResize = (): void => this.#paint('');

  constructor(out: Terminal, picture: (size: { columns: number; rows: number }) => readonly Line[]) {
    this.#out = out;
    this.#picture = picture;
    out.on('resize', this.#onResize);
  }

  /** Soon; at most ten times a second. */
  draw(): void {
    if (this.#timer !== null) return;
    const wait = this.#last + FRAME - performance.now();
    if (wait <= 0) {
      this.#paint('');
      return;
    }
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#paint('');
    }, wait);
    this.#timer.unref();
  }

  /** Text that stays, above the picture. */
  say(text: string): void {
    this.#paint(text.endsWith('\n') ? text : `${text}\n`);
  }

  /** The last picture stays; nothing is drawn after. */
  [Symbol.dispose](): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#out.off('resize', this.#onResize);
    this.#paint('');
    this.#widths = [];
  }

  #paint(above: string): void {
    const { columns = 80, rows = 24 } = this.#out;
    // A narrower terminal has broken the lines of the last picture into several.
    const before = this.#widths.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    // One column and one row are left free: a full line would wrap, and the cursor stands below.
    const lines = this.#picture({ columns: Math.max(1, columns - 1), rows: Math.max(0, rows - 1) });
    const up = before > 0 ? `\u001b[${Math.min(before, Math.max(1, rows - 1))}A` : '';
    const said = above === '' ? '' : `\u001b[J${above}`;
    this.#out.write(`\u001b[?2026h\r${up}${said}${lines.map((line) => `${coloured(line)}\u001b[K\n`).join('')}\u001b[J\u001b[?2026l`);
    this.#widths = lines.map((line) => line.reduce((sum, { text }) => sum + displayWidth(text), 0));
    this.#last = performance.now();
  }
}
