/** Puts a box that lies over the page beside another, on the side that has room, within the window. */

const GAP = 6;
const MARGIN = 8;

export function place(box: HTMLElement, anchor: Element, align: 'start' | 'center' | 'end'): void {
  const from = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = box;
  const lefts = { start: from.left, center: from.left + (from.width - width) / 2, end: from.right - width };
  const below = from.bottom + GAP;
  const top = below + height + MARGIN <= innerHeight || from.top - GAP - height < MARGIN ? below : from.top - GAP - height;
  box.style.left = `${Math.max(MARGIN, Math.min(lefts[align], innerWidth - width - MARGIN))}px`;
  box.style.top = `${Math.max(MARGIN, Math.min(top, innerHeight - height - MARGIN))}px`;
}
