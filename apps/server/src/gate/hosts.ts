/** Names and origins: what a browser says about where a request was meant for and who started it. */
import { ApiError } from '@parley/protocol';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '::1']);

export const isLoopback = (host: string): boolean => LOOPBACK.has(bare(host)) || /^127(?:\.\d{1,3}){3}$/.test(host);

const bare = (host: string): string => host.toLowerCase().replace(/^\[|\]$/g, '');

export interface Hosts {
  /** Names it answers to beside this machine's own; empty where others may reach it: any. */
  readonly names: readonly string[];
  readonly exposed: boolean;
}

/** A name that points here from elsewhere (DNS rebinding) must not make a page of somebody else one of ours. Throws ApiError (403). */
export function checkHost(url: URL, { names, exposed }: Hosts): void {
  const host = bare(url.hostname);
  if (isLoopback(host) || names.includes(host) || (exposed && names.length === 0)) return;
  throw new ApiError(`The host '${host}' is not this server's: name it with --allow-host ${host}.`, { status: 403, type: 'permission_error', code: 'unknown_host' });
}

/** What a page of another origin starts is refused, even where its answer would not be readable. Programs say no origin. Throws ApiError (403). */
export function checkOrigin(headers: Headers, url: URL, allowed: readonly string[]): void {
  const origin = headers.get('origin');
  if (origin === null) {
    const site = headers.get('sec-fetch-site');
    if (site === null || site === 'same-origin' || site === 'none') return;
  } else if (allowed.includes(origin) || (URL.canParse(origin) && new URL(origin).host === url.host)) return;
  throw new ApiError(`Pages of ${origin ?? 'another site'} may not use this server.`, { status: 403, type: 'permission_error', code: 'origin_not_allowed' });
}
