/**
 * Keeps what Node compiles, with its types stripped, between starts: `compiled` in Parley's cache folder (see docs/performance.md).
 * Threads find it by the environment variable, which wins where it is set already. Where nothing can be written, Node goes on without.
 */
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

const { env, platform } = process;

/** As `cacheFolder` of @parley/model/node has it, which is TypeScript and comes too late. */
function cacheFolder() {
  if (env.PARLEY_CACHE) return resolve(env.PARLEY_CACHE);
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'parley');
  if (platform === 'win32') return join(env.LOCALAPPDATA || join(homedir(), 'AppData', 'Local'), 'parley', 'cache');
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'parley');
}

env.NODE_COMPILE_CACHE ||= join(cacheFolder(), 'compiled');
enableCompileCache(env.NODE_COMPILE_CACHE);
