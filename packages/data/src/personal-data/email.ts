/** Addresses of e-mail, also written as `name [at] host [dot] org`. */
import { before, type Finding } from './finding.ts';

/** Domains above which a name is somebody's: every country's, and the generic ones in common use. */
const COUNTRIES = 'ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw';
const GENERIC = 'com org net edu gov mil int info biz name pro aero asia cat coop jobs mobi museum post tel travel xxx academy agency app art bank bar beer bio blog blue build business cafe capital care careers cash center chat church city cloud club codes coffee college community company consulting cool crew cricket date deals design dev digital direct directory doctor domains earth education email energy engineer engineering enterprises events exchange expert farm fashion finance fit fitness foundation fun fund fyi gallery games global gold group guide guru health help host hosting house institute insure international jobs kim land law lawyer legal life limited link live loan love ltd management market marketing media men money network news ninja one online page partners parts party photo photography photos pics pink place plus press productions properties pub red rent rest review rocks run sale school science services shop show site social software solutions space store stream studio style support systems tax team tech technology tips today tools top tours town toys trade training uno vet video vip watch web website wiki win wine work works world wtf xin xyz zone';
const DOMAINS = new Set(`${COUNTRIES} ${GENERIC}`.split(' '));

/** Names that RFC 2606 and 6761 keep for examples: nobody's. */
const RESERVED = /(?:^|\.)(?:example\.(?:com|org|net|edu)|(?:example|test|invalid|localhost|local))$/i;
/** `git@host:path` is where a program is fetched from, `root@host` what a shell says; `curve25519-sha256@libssh.org` is the name of a cipher. */
const PROGRAMS = /^(?:git|hg|svn|root)@|@(?:openssh\.com|libssh\.org)$/i;

const LOCAL = /[A-Za-z0-9._%+-]/;
const HOST = /[A-Za-z0-9.-]/;

export function* findEmails(text: string): Generator<Finding> {
  for (let at = text.indexOf('@'); at !== -1; at = text.indexOf('@', at + 1)) {
    let start = at;
    while (start > 0 && at - start < 65 && LOCAL.test(text.charAt(start - 1))) start--;
    while (start < at && /[._%+-]/.test(text.charAt(start))) start++;
    let end = at + 1;
    while (end < text.length && end - at < 255 && HOST.test(text.charAt(end))) end++;
    while (end > at && /[.-]/.test(text.charAt(end - 1))) end--;
    const local = text.slice(start, at);
    const host = text.slice(at + 1, end);
    if (local === '' || local.length > 64 || local.endsWith('.') || local.includes('..') || !isHost(host)) continue;
    // 1896.697170952@host is the name of a message.
    if (/^\d+\.[\d.]*$/.test(local)) continue;
    if (PROGRAMS.test(`${local}@${host}`) || RESERVED.test(host) || text.charAt(end) === '@') continue;
    // user:password@host within an address is no mailbox.
    if (/(?:\/\/|:)[^\s@]*$/.test(before(text, start, 60)) && /:\/\/[^\s]*$/.test(before(text, start, 60))) continue;
    yield { kind: 'email', start, end };
    at = end;
  }
  if (!/\bat\b/i.test(text)) return;
  for (const match of text.matchAll(SPELLED)) {
    const [whole, host = ''] = [match[0], match[1]];
    if (isHost(host.replace(/\s?[[({]\s?dot\s?[\])}]\s?/gi, '.').replace(/\s/g, ''))) yield { kind: 'email', start: match.index, end: match.index + whole.length };
  }
}

const SPELLED = /(?<![A-Za-z0-9._%+-])[A-Za-z0-9](?:[A-Za-z0-9._+-]{0,63})\s?[[({]\s?at\s?[\])}]\s?((?:[A-Za-z0-9-]{1,63}(?:\.|\s?[[({]\s?dot\s?[\])}]\s?)){1,4}[A-Za-z]{2,24})(?![A-Za-z0-9])/gi;

function isHost(host: string): boolean {
  const labels = host.split('.');
  return labels.length > 1 && labels.every((label) => /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label)) &&
    DOMAINS.has(labels.at(-1)?.toLowerCase() ?? '');
}
