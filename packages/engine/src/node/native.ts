/** Finds the native kernels, which are there only where a C++ compiler was when Parley was installed. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { totalmem } from 'node:os';
import { type NativeAddon, nativeFingerprint } from '@parley/kernels';

export type NativeKernels =
  | { readonly addon: NativeAddon; readonly missing: undefined }
  /** Why there are none, with the remedy where there is one. */
  | { readonly addon: undefined; readonly missing: string };

let found: NativeKernels | undefined;

/** Looks once; the answer stays for the life of the process. */
export function nativeKernels(): NativeKernels {
  return (found ??= load());
}

function load(): NativeKernels {
  const require = createRequire(import.meta.url);
  let addon: NativeAddon;
  try {
    addon = require('@parley/kernels/native.node') as NativeAddon;
  } catch (error) {
    return { addon: undefined, missing: reasonFor(require, error) };
  }
  if ((addon.fingerprint as number | undefined) !== nativeFingerprint) {
    return { addon: undefined, missing: 'they are older or newer than this code: run "npm run build -w @parley/kernels"' };
  }
  return { addon, missing: undefined };
}

/** What the build has written down, or why the file that is there does not load. */
function reasonFor(require: NodeJS.Require, error: unknown): string {
  if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') {
    const message = error instanceof Error ? error.message : String(error);
    return `they do not load (${message.split('\n')[0]}): run "npm run build -w @parley/kernels"`;
  }
  try {
    const log = readFileSync(require.resolve('@parley/kernels/native.log'), 'utf8').trim();
    const [first = '', ...rest] = log.split('\n');
    return rest.length === 0 ? first : `${first} ${rest.find((line) => /error/i.test(line))?.trim() ?? ''} (packages/kernels/build/native.log has more)`;
  } catch {
    return 'they are not built: run "npm run build -w @parley/kernels"';
  }
}

/** Bytes of memory that this process may take: the machine's, or its container's. */
export function memoryLimit(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(totalmem(), constrained) : totalmem();
}
