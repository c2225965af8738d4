/**
 * Addresses of machines on the internet. Those that are nobody's are left: private, loopback, link-local, documentation, multicast
 * and reserved ranges (RFC 6890), and the best known public name servers; so are version numbers, which look the same.
 */
import { before, type Finding } from './finding.ts';

const IPV4 = /(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d|\.in-addr)/g;
const IPV6 = /(?<![\w:.])[23][0-9a-f]{3}:(?:[0-9a-f]{0,4}:){1,6}[0-9a-f]{0,4}(?![\w:])/gi;

/** What makes four small numbers a version, a section or a clause. */
const NUMBERED = /(?:\bv|\bver\.?|version|versions|release|build|firmware|section|chapter|clause|article|paragraph|§|版本|版|第|章|节|節|条|條|rfc|iso|iec|oid|#)\s*[:：]?\s*$/i;
const LABELLED = /(?:\bip(?:v4)?\b|address|addr|host|server|ping|gateway|router|client|地址|主机|主機|服务器|伺服器|网关|網關)[^.\n]{0,24}$/i;

const NAME_SERVERS = new Set([
  '1.1.1.1', '1.0.0.1', '8.8.8.8', '8.8.4.4', '9.9.9.9', '114.114.114.114', '114.114.115.115', '223.5.5.5', '223.6.6.6', '119.29.29.29',
  '180.76.76.76', '208.67.222.222', '208.67.220.220', '4.2.2.1', '4.2.2.2',
]);

export function* findAddresses(text: string): Generator<Finding> {
  for (const match of text.matchAll(IPV4)) {
    const [address] = match;
    const octets = address.split('.').map(Number);
    if (octets.some((octet) => octet > 255) || /(?:^|\.)0\d/.test(address) || !isSomebodys(octets) || NAME_SERVERS.has(address)) continue;
    const label = before(text, match.index);
    if (NUMBERED.test(label) || /[A-Za-z]\/$/.test(label)) continue;
    // 2.4.1.10 is an address only where it is called one.
    if (octets.filter((octet) => octet < 30).length >= 3 && !LABELLED.test(label)) continue;
    yield { kind: 'ip', start: match.index, end: match.index + address.length };
  }
  for (const match of text.matchAll(IPV6)) {
    const address = match[0].replace(/(?<!:):$/, '');
    if (isGlobalV6(address)) yield { kind: 'ip', start: match.index, end: match.index + address.length };
  }
}

function isSomebodys([a = 0, b = 0, c = 0, d = 0]: readonly number[]): boolean {
  if (a === 0 || a === 10 || a === 127 || a >= 224) return false;
  if ((a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168) || (a === 169 && b === 254) || (a === 100 && b >= 64 && b < 128)) return false;
  if ((a === 192 && b === 0 && (c === 0 || c === 2)) || (a === 198 && b === 51 && c === 100) || (a === 203 && b === 0 && c === 113)) return false;
  if (a === 198 && (b === 18 || b === 19)) return false;
  // A network, or a placeholder such as 1.2.3.4 and 11.22.33.44.
  return !(c === 0 && d === 0) && !(b - a === c - b && c - b === d - c);
}

/** Of 2000::/3, long enough to be a machine's, and not of 2001:db8::/32, which is for examples. */
export function isGlobalV6(address: string): boolean {
  const halves = address.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return false;
  if (halves.length === 1 ? groups.length !== 8 : groups.length < 4 || groups.length > 7) return false;
  return /^[23]/.test(groups[0] ?? '') && groups[0]?.length === 4 && !(groups[0] === '2001' && /^0?db8$/i.test(groups[1] ?? ''));
}
