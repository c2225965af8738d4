/**
 * The thread that holds a SQLite database. `node:sqlite` is synchronous, and a commit waits for the disk (here a millisecond or two,
 * on a slow one fifty), so on the main thread every write would hold up every stream.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Answer, Request, Value, WorkerStart } from './wire.ts';

/** Prepared statements kept; the queries of the store are some eighty. */
const KEPT_STATEMENTS = 200;

interface Prepared {
  readonly statement: StatementSync;
  /** Names of what it reads; empty where it only writes. */
  readonly columns: readonly string[];
}

if (parentPort === null) throw new Error('this file is a thread of the store; it does nothing by itself');
const port = parentPort;
const { path, busyMs } = workerData as WorkerStart;

const describe = (error: unknown): { message: string; errcode: number } => {
  const { message, errcode } = error as { message?: unknown; errcode?: unknown };
  return { message: typeof message === 'string' ? message : String(error), errcode: typeof errcode === 'number' ? errcode : 0 };
};

let database: DatabaseSync | undefined;
const prepared = new Map<string, Prepared>();

/** Opened at the first statement, so that what goes wrong is told like any other error. */
function open(): DatabaseSync {
  if (database !== undefined) return database;
  const opened = new DatabaseSync(path, { timeout: busyMs, enableForeignKeyConstraints: true });
  try {
    // FULL: a commit is on the disk when it returns, also where the machine loses power. secure_delete: what is deleted is overwritten.
    opened.exec('pragma journal_mode = wal; pragma synchronous = full; pragma secure_delete = on; pragma temp_store = memory; pragma cache_size = -16000;');
  } catch (error) {
    opened.close();
    throw error;
  }
  database = opened;
  return opened;
}

function prepare(sql: string): Prepared {
  let found = prepared.get(sql);
  if (found === undefined) {
    const statement = open().prepare(sql);
    // Rows as lists: as objects, 10,000 of them took twice as long to be copied to the other thread (210 ms, 100).
    statement.setReturnArrays(true);
    found = { statement, columns: statement.columns().map((column) => column.name) };
    if (prepared.size >= KEPT_STATEMENTS) prepared.delete(prepared.keys().next().value ?? '');
  } else {
    // The least recently used comes first.
    prepared.delete(sql);
  }
  prepared.set(sql, found);
  return found;
}

function run(sql: string, parameters: readonly Value[]): Omit<Extract<Answer, { rows: unknown }>, 'id'> {
  const { statement, columns } = prepare(sql);
  if (columns.length === 0) return { columns, rows: [], changes: Number(statement.run(...parameters).changes) };
  const rows = statement.all(...parameters) as unknown as Value[][];
  return { columns, rows, changes: rows.length };
}

port.on('message', (request: Request) => {
  const answer = (message: Answer): void => port.postMessage(message);
  try {
    if ('close' in request) {
      prepared.clear();
      // Closing the last connection brings the write-ahead log into the file and removes it.
      database?.close();
      answer({ id: request.id, columns: [], rows: [], changes: 0 });
      port.close();
    } else {
      answer({ id: request.id, ...run(request.sql, request.parameters) });
    }
  } catch (error) {
    answer({ id: request.id, error: describe(error) });
  }
});
