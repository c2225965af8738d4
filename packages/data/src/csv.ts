/**
 * Comma- and tab-separated values, row by row (RFC 4180): fields in double quotes may hold the separator, line ends and doubled
 * quotes. One chunk of the file and one row are in memory.
 */
import { DataError } from './errors.ts';
import { readChunks, uncompressedName } from './lines.ts';

/** A field longer than this is taken for a quote that nobody closed. */
const LONGEST_FIELD = 64 * 2 ** 20;
const QUOTE = 34;
const LINE_FEED = 10;

export interface CsvOptions {
  /** Names of the columns, for files whose first row is data already. Default: the first row names them. */
  readonly columns?: readonly string[] | undefined;
  /** False: double quotes are ordinary characters, as in exports that never quote. Default true. */
  readonly quotes?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The rows of a .csv or .tsv file as objects of texts, with the line each begins on (from 1). The separator is a tab in .tsv;
 * in .csv it is whichever of comma, semicolon and tab the first line has most of. Blank lines are passed over.
 * Throws DataError for rows with other numbers of fields than there are columns, and for quotes out of place.
 */
export async function* readCsv(path: string, options: CsvOptions = {}): AsyncGenerator<{ object: Record<string, string>; line: number }> {
  let columns = options.columns;
  let scanner: RowScanner | null = null;
  let head = '';
  const named = function* (rows: Iterable<Row>): Generator<{ object: Record<string, string>; line: number }> {
    for (const { fields, line } of rows) {
      if (fields.length === 1 && fields[0] === '') continue;
      if (columns === undefined) {
        columns = checkColumns(fields, { path, line });
        continue;
      }
      if (fields.length !== columns.length) {
        throw new DataError(
          `has ${fields.length} fields, but there are ${columns.length} columns (${columns.join(', ')}): quote fields that hold the separator` +
            `${options.quotes === false ? '' : ', or set quotes: false if the file never quotes'}; the row begins ${preview(fields[0] ?? '')}`,
          { path, line },
        );
      }
      const object: Record<string, string> = {};
      for (let i = 0; i < fields.length; i++) object[columns[i] ?? ''] = fields[i] ?? '';
      yield { object, line };
    }
  };
  for await (const chunk of readChunks(path, options.signal)) {
    if (scanner !== null) {
      yield* named(scanner.push(chunk));
      continue;
    }
    // The separator is known once the first line is.
    head += chunk;
    if (!head.includes('\n') && head.length < 1 << 16) continue;
    scanner = new RowScanner(path, separatorOf(path, head), options.quotes !== false);
    yield* named(scanner.push(withoutMark(head)));
  }
  scanner ??= new RowScanner(path, separatorOf(path, head), options.quotes !== false);
  if (scanner.untouched) yield* named(scanner.push(withoutMark(head)));
  yield* named(scanner.finish());
}

interface Row {
  readonly fields: readonly string[];
  readonly line: number;
}

/** A state machine over characters; a row may span any number of chunks. */
class RowScanner {
  readonly #path: string;
  readonly #separator: number;
  readonly #quotes: boolean;
  #state: 'start' | 'plain' | 'quoted' | 'closed' = 'start';
  /** What is known of the current field before the current chunk. */
  #field = '';
  #fields: string[] = [];
  #line = 1;
  #rowLine = 1;
  #quoteLine = 1;
  untouched = true;

  constructor(path: string, separator: string, quotes: boolean) {
    this.#path = path;
    this.#separator = separator.charCodeAt(0);
    this.#quotes = quotes;
  }

  *push(chunk: string): Generator<Row> {
    this.untouched = false;
    let from = 0;
    for (let i = 0; i < chunk.length; i++) {
      const code = chunk.charCodeAt(i);
      if (this.#state === 'quoted') {
        const end = chunk.indexOf('"', i);
        const upTo = end === -1 ? chunk.length : end;
        this.#field += chunk.slice(i, upTo);
        for (let at = chunk.indexOf('\n', i); at !== -1 && at < upTo; at = chunk.indexOf('\n', at + 1)) this.#line++;
        this.#checkLength();
        if (end !== -1) this.#state = 'closed';
        i = upTo;
        from = upTo + 1;
      } else if (code === this.#separator || code === LINE_FEED) {
        if (this.#state === 'plain') this.#field += chunk.slice(from, i);
        if (code === LINE_FEED && this.#field.endsWith('\r') && this.#state === 'plain') this.#field = this.#field.slice(0, -1);
        this.#fields.push(this.#field);
        this.#field = '';
        this.#state = 'start';
        from = i + 1;
        if (code === LINE_FEED) {
          yield { fields: this.#fields, line: this.#rowLine };
          this.#fields = [];
          this.#rowLine = ++this.#line;
        }
      } else if (this.#state === 'start') {
        from = i;
        if (code === QUOTE && this.#quotes) {
          this.#state = 'quoted';
          this.#quoteLine = this.#line;
        } else this.#state = 'plain';
      } else if (this.#state === 'closed') {
        if (code === QUOTE) {
          this.#field += '"';
          this.#state = 'quoted';
        } else if (code !== 13) {
          throw new DataError(
            `has ${preview(chunk.slice(i, i + 20))} after the closing quote of ${preview(this.#field)}: write quotes inside a quoted field twice, ` +
              'or set quotes: false if the file never quotes',
            { path: this.#path, line: this.#line },
          );
        }
      }
    }
    if (this.#state === 'plain') {
      this.#field += chunk.slice(from);
      this.#checkLength();
    }
  }

  *finish(): Generator<Row> {
    if (this.#state === 'quoted') {
      throw new DataError(
        `has a quoted field that is never closed; it begins ${preview(this.#field)}: close it, or set quotes: false if the file never quotes`,
        { path: this.#path, line: this.#quoteLine },
      );
    }
    if (this.#fields.length === 0 && this.#field === '' && this.#state === 'start') return;
    const field = this.#state === 'plain' && this.#field.endsWith('\r') ? this.#field.slice(0, -1) : this.#field;
    yield { fields: [...this.#fields, field], line: this.#rowLine };
  }

  #checkLength(): void {
    if (this.#field.length <= LONGEST_FIELD) return;
    throw new DataError(`has a field longer than 64 MiB, which begins ${preview(this.#field)}: is its quote never closed?`, {
      path: this.#path, line: this.#state === 'quoted' ? this.#quoteLine : this.#rowLine,
    });
  }
}

function separatorOf(path: string, head: string): string {
  if (/\.tsv$/i.test(uncompressedName(path))) return '\t';
  const line = (head.split('\n', 1)[0] ?? '').replace(/"[^"]*"/g, '');
  const most = [',', ';', '\t'].map((separator) => ({ separator, count: line.split(separator).length }));
  return most.reduce((best, next) => (next.count > best.count ? next : best)).separator;
}

function checkColumns(names: readonly string[], place: { path: string; line: number }): string[] {
  const columns = names.map((name) => name.trim());
  const twice = columns.find((name, index) => columns.indexOf(name) !== index);
  if (columns.includes('') || twice !== undefined) {
    throw new DataError(
      `the first row has to name the columns, but has ${twice === undefined || twice === '' ? 'an empty name' : `"${twice}" twice`}: ` +
        'give it names, or list them as columns: [...] where the file has none',
      place,
    );
  }
  return columns;
}

const withoutMark = (text: string): string => (text.startsWith('\ufeff') ? text.slice(1) : text);

const preview = (text: string): string => JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
