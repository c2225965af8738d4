/** Opens an address in the person's browser, where there is a person with one. */
import { spawn } from 'node:child_process';

/** False where nobody would see it: in CI, over SSH, without a display. A browser that does not come up is no error: the address is printed. */
export function openBrowser(url: string, { env = process.env, platform = process.platform } = {}): boolean {
  const [command, ...args] = browserCommand(url, { env, platform }) ?? [];
  if (command === undefined) return false;
  const child = spawn(command, args, { stdio: 'ignore', detached: true });
  child.on('error', () => {});
  child.unref();
  return true;
}

export function browserCommand(url: string, { env, platform }: { env: NodeJS.ProcessEnv; platform: NodeJS.Platform }): string[] | null {
  if (env['CI'] || env['SSH_CONNECTION']) return null;
  if (platform === 'darwin') return ['open', url];
  // `start` is a word of the shell; its first quoted argument would be the window's title.
  if (platform === 'win32') return ['cmd', '/c', 'start', '""', url.replaceAll('&', '^&')];
  return env['DISPLAY'] || env['WAYLAND_DISPLAY'] ? ['xdg-open', url] : null;
}
