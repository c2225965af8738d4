/** `parley pull` and `parley models remove`: what is told while a model is fetched, and asked before one is deleted. */
import { formatBytes } from '@parley/engine';
import { type CachedModel, cacheFolder, findCached, findToken, HubError, listCached, listUnfinished, parseHubName, type PullEvent, pullModel, removeCached } from '@parley/model/hub';
import { agreed } from './ask.ts';
import { UsageError } from './errors.ts';
import { catchInterrupts } from './interrupts.ts';

export interface PullFlags {
  readonly file?: string[];
  readonly offline?: boolean;
  readonly endpoint?: string;
  readonly tokenFile?: string;
  readonly parallel?: number;
  readonly json?: boolean;
}

/** What goes on is told on the standard error, where the model is on the standard output; with --json all of it there. */
export async function pull(model: string, flags: PullFlags): Promise<void> {
  const { err, out } = { err: process.stderr, out: process.stdout };
  using view = flags.json === true ? jsonView((text) => out.write(text)) : err.isTTY ? barView((text) => err.write(text), () => err.columns) : plainView((text) => err.write(text));
  using interrupts = catchInterrupts(() => err.write('\nStopped. What has come is kept: the same command goes on from there.\n'));
  const pulled = await asked(async () => await pullModel(model, {
    onEvent: view.event, signal: interrupts.signal,
    ...(flags.tokenFile === undefined ? {} : { token: await findToken(flags.tokenFile) ?? null }),
    ...(flags.file === undefined ? {} : { files: flags.file }),
    ...(flags.offline === true ? { offline: true } : {}),
    ...(flags.endpoint === undefined ? {} : { endpoint: flags.endpoint }),
    ...(flags.parallel === undefined ? {} : { parallel: flags.parallel }),
  }));
  view[Symbol.dispose]();
  if (flags.json === true) {
    const { name, repository, revision, commit, folder, bytes, files } = pulled;
    out.write(`${JSON.stringify({ type: 'done', name, repository, revision, commit, folder, bytes, files: files.map(({ path, size }) => ({ path, size })) })}\n`);
  } else out.write(summary(pulled));
}

function summary({ name, commit, folder, bytes, files }: CachedModel): string {
  const gguf = files.filter(({ path }) => path.endsWith('.gguf'));
  const whole = files.some(({ path }) => path === 'config.json') || gguf.length === 1;
  return `${name} is in ${folder} (commit ${commit.slice(0, 7)}, ${files.length} ${files.length === 1 ? 'file' : 'files'}, ${formatBytes(bytes)})\n` +
    (whole ? `Use it by its name: parley chat --model ${name}\n` : '');
}

/** A wrong name is asked wrongly: exit status 2. */
async function asked<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof HubError && error.kind === 'name') throw new UsageError(error.message, { cause: error.cause });
    throw error;
  }
}

interface View extends Disposable {
  readonly event: (event: PullEvent) => void;
}

type Write = (text: string) => void;

/** Between two reports of how far it is. */
const INTERVAL = 100;

/** `progress` at most ten times a second, and the last one. */
export function jsonView(write: Write, now: () => number = Date.now): View {
  let last = -Infinity;
  return {
    event: (event) => {
      if (event.type === 'progress' && event.received < event.bytes) {
        if (now() - last < INTERVAL) return;
        last = now();
      }
      write(`${JSON.stringify(event)}\n`);
    },
    [Symbol.dispose]: () => undefined,
  };
}

const planned = (event: PullEvent & { type: 'plan' }): string =>
  `${event.repository} ${event.revision} is commit ${event.commit.slice(0, 7)}: ${event.files.length} ${event.files.length === 1 ? 'file' : 'files'}, ${formatBytes(event.bytes)}` +
  (event.present === 0 ? '' : event.present === event.bytes ? ', all of it here' : `, ${formatBytes(event.present)} of it here`);
const waited = (repository: string): string => `Another process is at ${repository}: waiting for it`;
const retried = (event: PullEvent & { type: 'retry' }): string => `${event.message}\n  trying again in ${(event.pause / 1000).toFixed(1)} s`;

/** For files and pipes: a line a file, and one for each tenth of the whole. */
export function plainView(write: Write): View {
  let tenth = 0;
  return {
    event: (event) => {
      switch (event.type) {
        case 'plan': {
          tenth = Math.floor((event.present / Math.max(1, event.bytes)) * 10);
          return write(`${planned(event)}\n`);
        }
        case 'waiting': return write(`${waited(event.repository)}\n`);
        case 'retry': return write(`${retried(event)}\n`);
        case 'file': return write(`${event.path}  ${formatBytes(event.size)}\n`);
        case 'progress': {
          const reached = Math.floor((event.received / Math.max(1, event.bytes)) * 10);
          if (reached > tenth) write(`${reached * 10}% of ${formatBytes(event.bytes)}\n`);
          tenth = Math.max(tenth, reached);
          return;
        }
        default: event satisfies never;
      }
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** For terminals: one line that fills, with the speed of the last seconds and the time that is left. */
export function barView(write: Write, columns: () => number | undefined, now: () => number = Date.now): View {
  let drawn = false;
  let last = -Infinity;
  /** When how much was there, over the last five seconds. */
  let window: { at: number; received: number }[] = [];
  const clear = (): void => {
    if (drawn) write('\r\u001b[2K');
    drawn = false;
  };
  const say = (text: string): void => {
    clear();
    write(`${text}\n`);
  };
  return {
    event: (event) => {
      switch (event.type) {
        case 'plan': return say(planned(event));
        case 'waiting': return say(waited(event.repository));
        case 'retry': return say(retried(event));
        case 'file': return;
        case 'progress': {
          const at = now();
          if (at - last < INTERVAL && event.received < event.bytes) return;
          last = at;
          window = [...window.filter((seen) => at - seen.at < 5000), { at, received: event.received }];
          const [first] = window;
          const speed = first && at > first.at ? Math.max(0, event.received - first.received) / (at - first.at) * 1000 : 0;
          const left = speed > 0 ? ` · ${duration((event.bytes - event.received) / speed)} left` : '';
          const share = event.received / Math.max(1, event.bytes);
          const facts = ` ${Math.floor(share * 100)}% · ${formatBytes(event.received)} of ${formatBytes(event.bytes)}${speed > 0 ? ` · ${formatBytes(Math.round(speed))}/s` : ''}${left}`;
          const width = Math.max(0, Math.min(30, (columns() ?? 80) - facts.length - 3));
          const full = Math.round(share * width);
          write(`\r\u001b[2K${`${width > 3 ? `[${'#'.repeat(full)}${'.'.repeat(width - full)}]` : ''}${facts}`.slice(0, (columns() ?? 80) - 1)}`);
          drawn = true;
          return;
        }
        default: event satisfies never;
      }
    },
    [Symbol.dispose]: clear,
  };
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  return whole < 3600 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Deletes a model from the cache after asking. Throws UsageError where it was not pulled, or nobody can be asked. */
export async function removePulled(model: string, options: { yes: boolean }): Promise<void> {
  const cache = cacheFolder();
  const parsed = parseHubName(model);
  if (parsed === undefined) throw new UsageError(`only models that were pulled can be removed, by OWNER/NAME or OWNER/NAME@REVISION, not "${model}": delete the folder of one that you trained yourself`);
  const { repository, revision } = parsed;
  const all = (await listCached(cache)).filter((found) => found.repository === repository);
  const chosen = revision === undefined ? all : [await findCached(cache, model)].filter((found) => found !== undefined);
  const half = revision === undefined && (await listUnfinished(cache)).some((found) => found.repository === repository);
  const names = chosen.map(({ name }) => name);
  if (names.length > 0 || half) {
    const what = [...names, ...(half ? [`the unfinished files of ${repository}`] : [])].join(', ');
    if (!options.yes && !(await agreed(`Delete ${what}? [y/N] `))) {
      process.stdout.write('Nothing was deleted.\n');
      return;
    }
  }
  using interrupts = catchInterrupts();
  const removed = await asked(() => removeCached(cache, model, { signal: interrupts.signal, onWait: () => process.stderr.write(`${waited(repository)}\n`) }));
  process.stdout.write(`Deleted ${removed.names.join(', ')}: ${formatBytes(removed.bytes)} are free again\n`);
}
