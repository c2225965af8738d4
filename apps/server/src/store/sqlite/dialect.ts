/** SQLite for Kysely: its own compiler, and a driver that sends statements to a thread (worker.ts). One connection, one at a time. */
import { Worker } from 'node:worker_threads';
import {
  CompiledQuery, type DatabaseConnection, type Dialect, type Driver, type QueryResult, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler, type TransactionSettings,
} from 'kysely';
import { StoreError } from '../types.ts';
import type { Answer, Request, Value, WorkerStart } from './wire.ts';

/** https://sqlite.org/rescode.html */
const CODES = { primaryKey: 1555, unique: 2067, foreignKey: 787, full: 13, corrupt: 11, notADatabase: 26, busy: 5 };

function toStoreError(message: string, errcode: number, path: string): StoreError {
  const cause = new Error(message);
  if (errcode === CODES.primaryKey || errcode === CODES.unique) return new StoreError('conflict', 'there is one with this id or name already', { cause });
  if (errcode === CODES.foreignKey) return new StoreError('invalid', 'it refers to something that is not there', { cause });
  const why = {
    [CODES.full]: `the disk of ${path} is full: make room`,
    [CODES.corrupt]: `the database ${path} is damaged: restore a backup (they stand beside it) or an export`,
    [CODES.notADatabase]: `${path} is not a SQLite database: name another file`,
    [CODES.busy]: `the database ${path} is being written by another process that does not finish`,
  }[errcode & 0xff];
  return new StoreError('unavailable', why ?? `the database ${path} failed`, { cause });
}

const toObjects = (columns: readonly string[], rows: readonly (readonly Value[])[]): Record<string, Value>[] => rows.map((row) => {
  const object: Record<string, Value> = {};
  for (let column = 0; column < columns.length; column++) object[columns[column] ?? ''] = row[column] ?? null;
  return object;
});

class Thread implements DatabaseConnection {
  readonly #worker: Worker;
  readonly #path: string;
  readonly #waiting = new Map<number, PromiseWithResolvers<QueryResult<unknown>>>();
  readonly #exited: Promise<void>;
  #nextId = 0;
  #closing = false;
  #failure: StoreError | undefined;

  constructor(start: WorkerStart) {
    this.#path = start.path;
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: start, name: 'parley-sqlite', execArgv: [] });
    // A store that nobody waits for does not keep the process alive; a statement under way does.
    this.#worker.unref();
    this.#worker.on('message', (answer: Answer) => this.#receive(answer));
    this.#worker.on('error', (cause) => this.#fail(new StoreError('unavailable', 'the thread of the database failed', { cause })));
    this.#exited = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        this.#fail(new StoreError('unavailable', 'the database is closed'));
        resolve();
      });
    });
  }

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    return await this.#ask({ id: this.#nextId++, sql, parameters: parameters as readonly Value[] }) as QueryResult<Row>;
  }

  streamQuery(): never {
    throw new Error('the store reads in pages, not in streams');
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#worker.ref();
    if (this.#failure === undefined) await this.#ask({ id: this.#nextId++, close: true });
    await this.#exited;
  }

  #ask(request: Request): Promise<QueryResult<unknown>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const waiting = Promise.withResolvers<QueryResult<unknown>>();
    if (this.#waiting.size === 0) this.#worker.ref();
    this.#waiting.set(request.id, waiting);
    this.#worker.postMessage(request);
    return waiting.promise;
  }

  #receive(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0 && !this.#closing) this.#worker.unref();
    if ('error' in answer) waiting?.reject(toStoreError(answer.error.message, answer.error.errcode, this.#path));
    else waiting?.resolve({ rows: toObjects(answer.columns, answer.rows), numAffectedRows: BigInt(answer.changes) });
  }

  #fail(failure: StoreError): void {
    this.#failure ??= failure;
    for (const waiting of this.#waiting.values()) waiting.reject(this.#failure);
    this.#waiting.clear();
  }
}

class SqliteDriver implements Driver {
  readonly #start: WorkerStart;
  #thread: Thread | undefined;

  constructor(start: WorkerStart) {
    this.#start = start;
  }

  async init(): Promise<void> {
    this.#thread = new Thread(this.#start);
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    if (this.#thread === undefined) throw new StoreError('unavailable', 'the database is not open');
    return this.#thread;
  }

  /** Immediate: a transaction that writes takes its turn at the start, where waiting is possible, not at its first write, where it is not. */
  async beginTransaction(connection: DatabaseConnection, { accessMode }: TransactionSettings): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(accessMode === 'read only' ? 'begin' : 'begin immediate'));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'));
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('rollback'));
  }

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {
    await this.#thread?.close();
  }
}

export function sqliteDialect(start: WorkerStart): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new SqliteDriver(start),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}
