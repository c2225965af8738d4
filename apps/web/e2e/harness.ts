/**
 * A real server with a shipped model on a free port, with an empty data folder, and Debian's Chromium before its page. Tests that need
 * either are skipped where it is absent, and say so.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { AxeResults } from 'axe-core';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const root = resolve(import.meta.dirname, '../../..');
const CHROMIUM = process.env['PARLEY_CHROMIUM'] ?? '/usr/bin/chromium';

/** Why there is nothing to drive; null: there is. */
export const missing: string | null = !existsSync(CHROMIUM) ? `${CHROMIUM} is not there`
  : !existsSync(join(root, 'apps/web/dist/index.html')) ? 'the page is not built: npm run build -w @parley/web'
    : !existsSync(join(root, 'models/parley-mini/config.json')) ? 'models/parley-mini is not there' : null;
if (missing !== null) console.warn(`end-to-end tests of the page are skipped: ${missing}`);

export interface Served extends AsyncDisposable {
  readonly url: string;
  readonly process: ChildProcess;
}

/** `model`: parley-nano answers quickly and badly, which is what most tests want. `slow`: computed the obvious way, so that there is time to do things meanwhile. */
export async function serve(options: { readonly model?: string; readonly port?: number; readonly data?: string; readonly slow?: boolean } = {}): Promise<Served> {
  const { model = 'parley-nano', port = 0, slow = false } = options;
  const data = options.data ?? await mkdtemp(join(tmpdir(), 'parley-page-'));
  const child = spawn(process.execPath, [join(root, 'packages/parley/src/cli.ts'), 'serve', '--model', model, '--port', String(port), '--data', data, '--json', ...(slow ? ['--backend', 'reference'] : [])], {
    cwd: root, stdio: ['ignore', 'pipe', 'pipe'],
  });
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => { complaints += chunk.toString(); });
  const url = await new Promise<string>((done, fail) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      try {
        const told = JSON.parse(line) as { url?: string };
        if (told.url !== undefined) done(told.url);
      } catch {
        // A line for people.
      }
    });
    child.once('exit', (code) => fail(new Error(`parley serve ended with ${code}: ${complaints}`)));
  });
  return {
    url,
    process: child,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null) {
        const ended = new Promise((done) => void child.once('exit', done));
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
        await ended;
        clearTimeout(timer);
      }
      if (options.data === undefined) await rm(data, { recursive: true, force: true });
    },
  };
}

export const launch = (): Promise<Browser> => chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu', '--force-color-profile=srgb'] });

export interface Opened extends AsyncDisposable {
  readonly page: Page;
  /** What the page complained of: errors, and breaches of the content security policy. */
  readonly complaints: string[];
}

export async function openPage(browser: Browser, url: string, options: BrowserContextOptions & { readonly preferences?: object } = {}): Promise<Opened> {
  const { preferences, ...rest } = options;
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-US', reducedMotion: 'reduce', ...rest });
  if (preferences) await context.addInitScript((kept) => localStorage.getItem('parley.preferences') ?? localStorage.setItem('parley.preferences', kept), JSON.stringify(preferences));
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => void complaints.push(error.message));
  page.on('console', (message) => {
    // The browser reports every refused request as an error; what the page makes of them is tested by itself.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) complaints.push(message.text());
  });
  await page.goto(url);
  await field(page).or(page.getByLabel('Password')).waitFor();
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() };
}

/** What axe finds wrong with the page as it is now: nothing, one hopes. */
export async function faultsOf(page: Page): Promise<string[]> {
  await page.evaluate(await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
  const { violations } = await page.evaluate(() => (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run());
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} ${failureSummary ?? ''}`));
}

/** Where a message is written. */
export const field = (page: Page) => page.getByRole('textbox', { name: /^(Message|消息)$/ });

export async function say(page: Page, words: string): Promise<void> {
  await field(page).fill(words);
  await field(page).press('Enter');
}
/** So many answers are whole. */
export async function answered(page: Page, count: number): Promise<void> {
  await page.waitForFunction((wanted) => document.querySelectorAll('.row-assistant .row-actions').length >= wanted && document.querySelector('[data-action=stop]') === null, count, { timeout: 60_000 });
}
