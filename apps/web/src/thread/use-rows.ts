/**
 * A scrolled column of messages: draws those that are near, keeps the reader's place when heights above turn out different, and follows
 * the end while the reader is there. Short threads are drawn whole, so that the browser's own search finds every word of them.
 */
import { type RefObject, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { type Range, rangeOf, topsOf } from './rows.ts';

const WHOLE = 120;
const MARGIN_PX = 900;
/** Closer to the end than this, the reader is at the end. */
const AT_END_PX = 32;

export interface Rows {
  readonly scroller: RefObject<HTMLDivElement | null>;
  readonly content: RefObject<HTMLDivElement | null>;
  readonly range: Range;
  readonly before: number;
  readonly after: number;
  /** Whether the end is in sight. */
  readonly atEnd: boolean;
  readonly measure: (id: string, element: HTMLElement | null) => void;
  readonly toEnd: () => void;
}

export interface RowsOptions {
  readonly ids: readonly string[];
  /** Pixels, before a row has been drawn. */
  readonly estimate: (index: number) => number;
  /** Changes with the conversation: begins at its end. */
  readonly key: string;
}

export function useRows({ ids, estimate, key }: RowsOptions): Rows {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const heights = useRef(new Map<string, number>());
  const following = useRef(true);
  const lastTop = useRef(0);
  const [atEnd, setAtEnd] = useState(true);
  const [measured, setMeasured] = useState(0);
  const [view, setView] = useState({ top: 0, height: 800 });
  const whole = ids.length <= WHOLE;

  // Known heights by place, so that a row that is measured costs a pass over numbers and not over 10,000 ids.
  const sizes = useMemo(() => Float64Array.from(whole ? [] : ids, (id, index) => heights.current.get(id) ?? estimate(index)), [ids, estimate, whole]);
  const places = useMemo(() => new Map(whole ? [] : ids.map((id, index) => [id, index])), [ids, whole]);
  const tops = useMemo(
    () => topsOf(sizes),
    // `measured` stands for what has been written into `sizes`.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
    [sizes, measured],
  );
  const range = whole ? { from: 0, to: ids.length } : rangeOf(tops, { ...view, margin: MARGIN_PX });
  const current = useRef({ tops, sizes, places, whole });
  useLayoutEffect(() => {
    current.current = { tops, sizes, places, whole };
  });

  const scrollTo = useCallback((top: number): void => {
    const element = scroller.current;
    if (element === null) return;
    element.scrollTop = top;
    lastTop.current = element.scrollTop;
  }, []);
  const toEnd = useCallback((): void => {
    following.current = true;
    scrollTo(scroller.current?.scrollHeight ?? 0);
    setAtEnd(true);
  }, [scrollTo]);

  // One observer for all rows: a height that differs from what was assumed above the reader's eyes moves the scroller by the difference.
  const [observer] = useState(() => (typeof ResizeObserver === 'undefined' ? null : new ResizeObserver((entries) => {
    const element = scroller.current;
    const { tops: known, sizes: all, places: at, whole: small } = current.current;
    let shift = 0;
    let changed = false;
    for (const entry of entries) {
      const id = (entry.target as HTMLElement).dataset['row'];
      const height = (entry.target as HTMLElement).offsetHeight;
      if (id === undefined || height === 0) continue;
      const old = heights.current.get(id);
      if (old === height) continue;
      heights.current.set(id, height);
      changed = true;
      if (small || element === null) continue;
      const index = at.get(id);
      if (index === undefined) continue;
      all[index] = height;
      const top = known[index] ?? 0;
      const assumed = (known[index + 1] ?? top) - top;
      if (top + assumed <= element.scrollTop) shift += height - assumed;
    }
    if (!changed) return;
    if (!small) {
      if (shift !== 0 && !following.current && element) scrollTo(element.scrollTop + shift);
      setMeasured((count) => count + 1);
    }
    if (following.current && element) scrollTo(element.scrollHeight);
  })));
  useEffect(() => () => observer?.disconnect(), [observer]);
  const elements = useRef(new Map<string, HTMLElement>());
  const measure = useCallback((id: string, element: HTMLElement | null): void => {
    const old = elements.current.get(id);
    if (old && old !== element) observer?.unobserve(old);
    if (element) {
      elements.current.set(id, element);
      observer?.observe(element);
    } else elements.current.delete(id);
  }, [observer]);

  useEffect(() => {
    const element = scroller.current;
    const inner = content.current;
    if (element === null || inner === null) return undefined;
    let frame = 0;
    const look = (): void => {
      frame = 0;
      const { scrollTop: top, clientHeight: height, scrollHeight } = element;
      const end = scrollHeight - top - height <= AT_END_PX;
      // Going up, however little, is leaving; coming back to the end is staying again.
      if (top < lastTop.current - 1 && !end) following.current = false;
      else if (end) following.current = true;
      lastTop.current = top;
      setAtEnd(end || following.current);
      // A quarter of the margin is near enough: not every pixel needs a look at what is drawn.
      setView((old) => (Math.abs(old.top - top) < MARGIN_PX / 4 && old.height === height ? old : { top, height }));
    };
    const onScroll = (): void => {
      frame ||= requestAnimationFrame(look);
    };
    const onWheel = (event: WheelEvent): void => {
      if (event.deltaY < 0 && element.scrollHeight > element.clientHeight) following.current = false;
    };
    // The window's height, and whatever grows without being a row.
    const sizes = new ResizeObserver(() => {
      if (following.current) scrollTo(element.scrollHeight);
      onScroll();
    });
    sizes.observe(element);
    sizes.observe(inner);
    element.addEventListener('scroll', onScroll, { passive: true });
    element.addEventListener('wheel', onWheel, { passive: true });
    return () => {
      sizes.disconnect();
      cancelAnimationFrame(frame);
      element.removeEventListener('scroll', onScroll);
      element.removeEventListener('wheel', onWheel);
    };
  }, [scrollTo]);

  useLayoutEffect(() => {
    heights.current.clear();
    following.current = true;
    toEnd();
  }, [key, toEnd]);
  useLayoutEffect(() => {
    if (following.current) scrollTo(scroller.current?.scrollHeight ?? 0);
  }, [ids, tops, scrollTo]);

  return {
    scroller, content, range, atEnd, measure, toEnd,
    before: whole ? 0 : tops[range.from] ?? 0,
    after: whole ? 0 : (tops[ids.length] ?? 0) - (tops[range.to] ?? 0),
  };
}
