/** What browsers are told about the page and about answers: what may run, what may be loaded, who may look in. */

/**
 * Nothing but the page's own files runs: no inline script, no eval. WebAssembly and workers are for an engine in the browser, which also
 * needs the page to be isolated from other origins (COOP, COEP) to share memory between threads. Attributes `style` are allowed: math is
 * set with them; style sheets are not.
 */
export const PAGE_POLICY: string = [
  "default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "worker-src 'self' blob:", "style-src 'self'", "style-src-attr 'unsafe-inline'", "img-src 'self' data: blob:",
  "font-src 'self' data:", "connect-src 'self'", "media-src 'self' blob:", "manifest-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'",
].join('; ');

const API_POLICY = "default-src 'none'; frame-ancestors 'none'";

const COMMON: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer', 'x-frame-options': 'DENY', 'cross-origin-resource-policy': 'same-origin',
};

const ISOLATED: Readonly<Record<string, string>> = {
  'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp', 'origin-agent-cluster': '?1',
  'permissions-policy': 'camera=(), geolocation=(), payment=(), usb=(), interest-cohort=()',
};

/** For a path's answer. Routes may set their own before. */
export function securityHeaders(path: string): Readonly<Record<string, string>> {
  if (/^\/(?:v1|api)(?:\/|$)/.test(path)) return { ...COMMON, 'content-security-policy': API_POLICY, 'cache-control': 'no-store' };
  return { ...COMMON, ...ISOLATED, 'content-security-policy': PAGE_POLICY };
}

const CORS_METHODS = 'GET, POST, DELETE, OPTIONS';
/** What programs read of an answer beside its body. */
const CORS_EXPOSED = 'x-request-id, openai-processing-ms, retry-after, retry-after-ms, x-ratelimit-limit-requests, x-ratelimit-limit-tokens, '
  + 'x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, x-ratelimit-reset-tokens';

/** For pages of origins that were named, below /v1 only; no cookies go along. */
export function corsHeaders(origin: string, asked: string | null): Readonly<Record<string, string>> {
  return {
    'access-control-allow-origin': origin, vary: 'Origin', 'access-control-expose-headers': CORS_EXPOSED, 'cross-origin-resource-policy': 'cross-origin',
    ...(asked !== null && { 'access-control-allow-methods': CORS_METHODS, 'access-control-allow-headers': asked, 'access-control-max-age': '600' }),
  };
}
