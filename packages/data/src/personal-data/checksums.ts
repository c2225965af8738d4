/** Check digits. Each takes the number as it is written without spaces, and says whether its check digits are right. */

/** ISO/IEC 7812-1 annex B: payment cards and much else. Every single wrong digit is found. */
export function luhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    const doubled = i % 2 === 0 ? digit : 2 * digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return digits !== '' && sum % 10 === 0;
}

/** ISO 7064 MOD 97-10 as ISO 13616 takes it: the first four characters go to the end, letters are 10 to 35. */
export function mod97(iban: string): boolean {
  let remainder = 0;
  for (const character of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(character, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder === 1;
}

/** ISO 7064 MOD 11-2, as GB 11643 takes it for the 18 characters of a Chinese resident's number. */
export function mod11(identity: string): boolean {
  let remainder = 0;
  for (const character of identity.slice(0, -1)) remainder = ((remainder + Number(character)) * 2) % 11;
  return '10X98765432'[remainder] === identity.at(-1)?.toUpperCase() && identity.length > 1;
}

/** Σ weight · digit, over as many digits as there are weights. */
export function weighted(digits: string, weights: readonly number[]): number {
  return weights.reduce((sum, weight, i) => sum + weight * Number(digits[i]), 0);
}

/** ISO 2108: ten characters, weights 10 to 1, modulo 11; or thirteen with weights 1 and 3, modulo 10. */
export function isbn(text: string): boolean {
  if (/^\d{9}[\dX]$/.test(text)) {
    return Array.from(text).reduce((sum, digit, i) => sum + (10 - i) * (digit === 'X' ? 10 : Number(digit)), 0) % 11 === 0;
  }
  return /^97[89]\d{10}$/.test(text) && weighted(text, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]) % 10 === 0;
}
