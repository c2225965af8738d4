/**
 * UTF-8 that was read as Windows-1252 or Latin-1 (`cafÃ©`, `â€™`, `å›½`) is turned back where that is certain: where every run of
 * characters that could be such bytes is well-formed UTF-8. Real text practically never is (the idea of ftfy, Speer 2019).
 */

/** What Windows-1252 has at 0x80 to 0x9f; its five holes are the control characters themselves, as in the WHATWG encoding. */
const HIGH = new TextDecoder('windows-1252').decode(Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i));
const BYTES = new Map(Array.from(HIGH, (character, i) => [character, 0x80 + i]));
const strict = new TextDecoder('utf-8', { fatal: true });

/** A first byte of a sequence and as many continuations as it asks for, in Windows-1252's characters. */
const SUSPECT = /[\u00c2-\u00f4][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2026\u2030\u2039\u203a\u20ac\u2122]/;
const BEYOND = /[^\0-\u007f]+/g;

/** The text as it was meant, or null where it is no such mojibake, or not certainly. May be twice garbled. */
export function repairMojibake(text: string): string | null {
  let repaired: string | null = null;
  for (let round = 0; round < 2; round++) {
    const next = repairOnce(repaired ?? text);
    if (next === null) break;
    repaired = next;
  }
  return repaired;
}

function repairOnce(text: string): string | null {
  if (!SUSPECT.test(text)) return null;
  let sequences = 0;
  let certain = true;
  const repaired = text.replace(BEYOND, (run) => {
    if (!certain) return run;
    const bytes = bytesOf(run);
    // Chinese and the like beside it is no mojibake, and says nothing about the rest.
    if (bytes === null) return run;
    try {
      const decoded = strict.decode(bytes);
      // A sequence of three bytes is as good as two of two: by chance neither happens.
      sequences += bytes.length - decoded.length;
      return decoded;
    } catch {
      certain = false;
      return run;
    }
  });
  // One pair alone may be meant: Ã and Â are rare in capitals-only words, but they are letters.
  return certain && (sequences >= 2 || /[ÃÂ][\u0080-\u00bf]/.test(text)) ? repaired : null;
}

/** The bytes that Windows-1252 or Latin-1 would have read these characters from, or null where they could not. */
function bytesOf(run: string): Uint8Array | null {
  const bytes: number[] = [];
  for (const character of run) {
    const byte = BYTES.get(character) ?? character.codePointAt(0) ?? 0;
    if (byte > 255) return null;
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** Debris that cannot be turned back: U+FFFD, its own mojibake in Latin-1 and GBK, and what uninitialized memory looks like in GBK. */
const DEBRIS = /\ufffd|ï¿½|锟斤拷|烫烫烫|屯屯屯|â€[\u0153\u009d\u2122\u02dc\u201c]|Ã[\u00a0-\u00bf]/g;

/** Whether more than one character in a thousand is lost, or at least three and one in ten thousand. */
export function isGarbled(text: string): boolean {
  const lost = text.match(DEBRIS)?.length ?? 0;
  return lost * 1000 > text.length || (lost >= 3 && lost * 10_000 > text.length);
}
