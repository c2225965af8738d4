/** Peers are not dependencies: they are installed into a temporary folder, or found in the one that $PEER names. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface PeerFolder extends AsyncDisposable {
  /** For files of the run; goes with it. */
  readonly work: string;
  /** The path of a file of a peer's package. */
  file(path: string): string;
}

/** `packages`: `name@version`, installed from the registry where $PEER does not hold them. */
export async function openPeers(packages: readonly string[]): Promise<PeerFolder> {
  const work = await mkdtemp(join(tmpdir(), 'parley-peer-'));
  const given = process.env['PEER'];
  const folder = given ?? work;
  const missing = packages.filter((name) => !existsSync(join(folder, 'node_modules', name.replace(/@[^@/]+$/, ''))));
  if (missing.length > 0) {
    if (!existsSync(join(folder, 'package.json'))) await writeFile(join(folder, 'package.json'), '{"private":true}');
    execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...missing], { cwd: folder, stdio: 'ignore' });
  }
  return {
    work,
    file: (path) => join(folder, 'node_modules', path),
    async [Symbol.asyncDispose]() {
      await rm(work, { recursive: true, force: true });
    },
  };
}
