/** One process at a time trains into a run's folder: two would write into each other's checkpoints and metrics. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from './errors.ts';

/** Locks that this process holds: its own number in a file is otherwise that of a process before it, as in a container. */
const held = new Set<string>();

/**
 * Takes the run's folder until disposed. What a killed process left behind is taken over.
 * Throws CheckpointError if a process that still runs has it.
 */
export function lockRun(folder: string): Disposable {
  const path = join(folder, 'lock');
  const mine = JSON.stringify({ pid: process.pid, started: startOf(process.pid) });
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(path, mine, { flag: 'wx' });
      break;
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error) || error.code !== 'EEXIST') throw error;
      const holder = read(path);
      if (attempt > 1 || (holder !== null && runs(holder, path))) {
        throw new CheckpointError(
          `another process (${holder?.pid ?? 'of unknown number'}) is training into ${folder}: wait for it, stop it, or train under another name ` +
            `(if there is none, remove ${path})`,
        );
      }
      rmSync(path, { force: true });
    }
  }
  held.add(path);
  return {
    [Symbol.dispose]: () => {
      held.delete(path);
      rmSync(path, { force: true });
    },
  };
}

interface Holder {
  readonly pid: number;
  readonly started: string | null;
}

/** Null: gone meanwhile, or half-written by a process that was killed. */
function read(path: string): Holder | null {
  try {
    const holder = JSON.parse(readFileSync(path, 'utf8')) as Partial<Holder>;
    return typeof holder.pid === 'number' ? { pid: holder.pid, started: holder.started ?? null } : null;
  } catch {
    return null;
  }
}

function runs({ pid, started }: Holder, path: string): boolean {
  if (pid === process.pid) return held.has(path);
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Of another user, and alive.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
  return started === null || startOf(pid) === started;
}

/** When a process was started, on Linux: numbers of processes come again. Null where that is not told. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
