import { Random } from '@parley/engine';
import { expect, test } from 'vitest';
import { type Extent, Pages } from './pages.ts';

/** Memory whose pages hold the extent they belong to and the page's number in it. */
function moved(memory: (string | undefined)[], moves: ReturnType<Pages['compact']>): (string | undefined)[] {
  for (const { from, to, pages } of moves) {
    const held = memory.slice(from, from + pages);
    for (const [i, page] of held.entries()) memory[to + i] = page;
  }
  return memory;
}

test('whatever is allocated, grown, shrunk, moved and released: extents never overlap, keep their pages, and all that is free can be had', () => {
  const random = new Random(1);
  for (let round = 0; round < 40; round++) {
    const pages = new Pages(24);
    let memory: (string | undefined)[] = [];
    const held = new Map<Extent, string>();
    const fill = (extent: Extent, name: string): void => {
      for (let i = 0; i < extent.pages; i++) memory[extent.start + i] = `${name}${i}`;
    };
    for (let step = 0; step < 60; step++) {
      const size = 1 + random.below(6);
      const [extent] = [...held.keys()].slice(random.below(Math.max(1, held.size)));
      const action = random.below(4);
      if (action === 0 && pages.free >= size) {
        let made = pages.allocate(size);
        if (made === null) {
          memory = moved(memory, pages.compact());
          made = pages.allocate(size);
        }
        if (made === null) throw new Error(`${size} of ${pages.free} free pages could not be had`);
        held.set(made, `${step}:`);
        fill(made, `${step}:`);
      } else if (action === 1 && extent && pages.free >= size) {
        let grown = pages.grow(extent, extent.pages + size);
        if (!grown) {
          memory = moved(memory, pages.compact(extent));
          grown = pages.grow(extent, extent.pages + size);
        }
        if (!grown) throw new Error(`${size} of ${pages.free} free pages could not be added`);
        fill(extent, held.get(extent)!);
      } else if (action === 2 && extent && extent.pages > 1) {
        pages.shrink(extent, 1 + random.below(extent.pages - 1));
      } else if (action === 3 && extent) {
        pages.release(extent);
        held.delete(extent);
      }
      let end = 0;
      for (const each of pages.extents) {
        if (each.start < end) throw new Error(`round ${round}, step ${step}: extents overlap`);
        end = each.start + each.pages;
        const kept = memory.slice(each.start, end).every((page, i) => page === `${held.get(each)}${i}`);
        if (!kept) throw new Error(`round ${round}, step ${step}: an extent lost its pages`);
      }
      expect(end).toBeLessThanOrEqual(pages.total);
      expect(pages.used).toBe([...held.keys()].reduce((sum, each) => sum + each.pages, 0));
    }
  }
});
