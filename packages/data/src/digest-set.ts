/** A set of SHA-256 digests by their first 96 bits: 12 bytes an entry in a table that is between 35% and 70% full, not a JavaScript string. */
const FULL = 0.7;

export class DigestSet {
  #table = new Uint32Array(3 << 10);
  #count = 0;

  get size(): number {
    return this.#count;
  }

  /** Whether it is new. Among a billion, the chance of one false "no" is about 10⁻¹¹. */
  add(digest: Buffer): boolean {
    // All zero bits mean an empty slot, so the digest that begins so is told from it by its last bit: it has to have one.
    const added = this.#enter(this.#table, digest.readUInt32LE(0), digest.readUInt32LE(4), (digest.readUInt32LE(8) | 1) >>> 0);
    if (added && ++this.#count * 3 > this.#table.length * FULL) this.#grow();
    return added;
  }

  #enter(table: Uint32Array, a: number, b: number, c: number): boolean {
    const slots = table.length / 3;
    for (let slot = a % slots; ; slot = slot + 1 === slots ? 0 : slot + 1) {
      const at = 3 * slot;
      if (table[at + 2] === 0) {
        table[at] = a;
        table[at + 1] = b;
        table[at + 2] = c;
        return true;
      }
      if (table[at] === a && table[at + 1] === b && table[at + 2] === c) return false;
    }
  }

  #grow(): void {
    const table = new Uint32Array(this.#table.length * 2);
    for (let at = 0; at < this.#table.length; at += 3) {
      const [a = 0, b = 0, c = 0] = this.#table.subarray(at, at + 3);
      if (c !== 0) this.#enter(table, a, b, c);
    }
    this.#table = table;
  }
}
