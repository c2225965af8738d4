/** Where the server's data is: a folder of the person who runs it, or a database that is named. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export interface Location {
  /** `--data`: a folder, or `none` where nothing is to be kept. */
  readonly data?: string | undefined;
  /** `--database`: `postgres://…` or `sqlite:PATH`; wins over the folder. */
  readonly database?: string | undefined;
}

/** `--data`, else `$PARLEY_DATA`, else `parley` in the XDG data folder. */
export function dataFolder(data: string | undefined, env: NodeJS.ProcessEnv = process.env): string {
  if (data !== undefined && data !== '') return resolve(data);
  if (env.PARLEY_DATA !== undefined && env.PARLEY_DATA !== '') return resolve(env.PARLEY_DATA);
  // XDG: a relative path is to be ignored.
  const xdg = env.XDG_DATA_HOME;
  return join(xdg?.startsWith('/') === true ? xdg : join(homedir(), '.local', 'share'), 'parley');
}

/** What `openStore` takes; null where nothing is to be kept. Also from `$PARLEY_DATABASE` and `$PARLEY_DATA`. */
export function storeUrl(location: Location, env: NodeJS.ProcessEnv = process.env): string | null {
  const database = location.database ?? (location.data === undefined ? env.PARLEY_DATABASE : undefined);
  if (database !== undefined && database !== '') return database;
  if ((location.data ?? env.PARLEY_DATA) === 'none') return null;
  return `sqlite:${join(dataFolder(location.data, env), 'parley.sqlite')}`;
}
