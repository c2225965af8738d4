/** One line for each request, when its answer has ended: what was asked of the server and how it went. People's words only where that is asked for. */

export type LogFormat = 'json' | 'text' | 'off';

export interface RequestLine {
  readonly id: string;
  readonly method: string;
  /** Without what stands after `?`, where people's words may be. */
  readonly path: string;
  readonly status: number;
  /** To the last byte. */
  readonly ms: number;
  /** Whether the reader left before that. */
  readonly left: boolean;
  /** `key:name`, `account:name`, `local`; null where nobody was asked for. */
  readonly who: string | null;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
  /** Code of the error that was answered. */
  readonly error: string | null;
  /** Body and answer, with `--log-content`. */
  readonly content?: { readonly request: string; readonly answer: string };
}

export interface Fault {
  readonly requestId: string;
  readonly path: string;
  readonly error: unknown;
}

export interface Log {
  readonly content: boolean;
  request(line: RequestLine): void;
  /** What failed inside. */
  fault(fault: Fault): void;
  /** What the server itself does: starts, drains, ends. */
  note(message: string): void;
}

export const silent: Log = { content: false, request() {}, fault() {}, note() {} };

const PATH_CHARACTERS = 200;

/** Text leaves control characters out, so that a request cannot forge a line. */
export function createLog(format: LogFormat, { content = false, write = (line) => void process.stderr.write(line), now = () => new Date() }: {
  content?: boolean; write?: (line: string) => void; now?: () => Date;
} = {}): Log {
  const describe = (error: unknown): string => (error instanceof Error ? [error.message, ...(error.cause === undefined ? [] : [describe(error.cause)])].join('; because: ') : String(error));
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  const plain = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');
  const json = (level: string, fields: object): void => write(`${JSON.stringify({ time: now().toISOString(), level, ...fields })}\n`);
  if (format === 'json') {
    return {
      content,
      request: (line) => json(line.status >= 500 ? 'error' : 'info', { event: 'request', ...line, path: line.path.slice(0, PATH_CHARACTERS), ms: Math.round(line.ms * 10) / 10 }),
      fault: ({ requestId, path, error }) => json('error', { event: 'fault', id: requestId, path, message: describe(error), ...(error instanceof Error && { stack: error.stack }) }),
      note: (message) => json('info', { event: 'server', message }),
    };
  }
  const text = (line: string): void => write(`${now().toISOString()} ${plain(line)}\n`);
  return {
    content,
    request({ id, method, path, status, ms, left, who, promptTokens, completionTokens, error, content: said }) {
      if (format === 'off') return;
      text([
        method, path.slice(0, PATH_CHARACTERS), status, `${Math.round(ms)}ms`, ...(promptTokens + completionTokens > 0 ? [`${promptTokens}+${completionTokens} tokens`] : []),
        ...(who === null ? [] : [who]), ...(error === null ? [] : [error]), ...(left ? ['left'] : []), id, ...(said === undefined ? [] : [JSON.stringify(said)]),
      ].join(' '));
    },
    // What fails inside is told whatever the format: the person who asked has only its id.
    fault: ({ requestId, path, error }) => text(`${requestId} ${path}: ${describe(error)}`),
    note: (message) => {
      if (format !== 'off') text(message);
    },
  };
}
