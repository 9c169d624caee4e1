// A virtual list: only visible rows are in the page. Heights are estimated, and measured when rows appear.
import { useEffect, useLayoutEffect, useMemo, useRef, useSizes, useState } from "../../core/html.js";

const AHEAD = 400;
// Height of a row that has not been measured.
const ESTIMATE = 92;

/** Return the sums of heights: row i begins at sums[i]. */
/** @param {{ id: number }[]} items @param {Map<number, number>} heights @param {number} estimate */
function offsets(items, heights, estimate) {
  const sums = new Float64Array(items.length + 1);
  items.forEach((item, index) => {
    sums[index + 1] = sums[index] + (heights.get(item.id) ?? estimate);
  });
  return sums;
}

function firstEndingAfter(/** @type {Float64Array} */ sums, /** @type {number} */ y) {
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sums[middle + 1] <= y) low = middle + 1;
    else high = middle;
  }
  return low;
}

function windowOf(/** @type {Float64Array} */ sums, /** @type {number} */ top, /** @type {number} */ height) {
  const rows = sums.length - 1;
  const start = Math.min(firstEndingAfter(sums, top - AHEAD), Math.max(0, rows - 1));
  let end = start;
  while (end < rows && sums[end] < top + height + AHEAD) end += 1;
  return { start: rows ? start : 0, end };
}

/** Measure rendered rows (elements with data-row = id) whenever their size changes. */
function useHeights(/** @type {Ref} */ list, /** @type {Map<number, any>} */ heights, /** @type {() => void} */ grew) {
  const observer = useRef(null);
  useEffect(() => {
    observer.current = new ResizeObserver((entries) => {
      let changed = false;
      for (const entry of entries) {
        const id = Number(entry.target.getAttribute("data-row"));
        const height = entry.borderBoxSize[0].blockSize;
        if (height && heights.get(id) !== height) {
          heights.set(id, height);
          changed = true;
        }
      }
      if (changed) grew();
    });
    return () => observer.current.disconnect();
  }, []);
  const watched = useRef(new Set());
  useLayoutEffect(() => {
    const present = new Set(list.current.querySelectorAll("[data-row]"));
    for (const element of watched.current) if (!present.has(element)) observer.current?.unobserve(element);
    for (const element of present) if (!watched.current.has(element)) observer.current?.observe(element);
    watched.current = present;
  });
}

/** Return the rows to render and the heights of the rows before and after them. */
/** @param {Ref} scroller @param {Ref} list @param {{ id: number }[]} items @param {number} estimate */
export function useVirtual(scroller, list, items, estimate = ESTIMATE) {
  const heights = useRef(new Map()).current;
  const [measured, setMeasured] = useState(0);
  const [view, setView] = useState({ top: 0, height: 900 });
  const sums = useMemo(() => offsets(items, heights, estimate), [items, measured]);
  useHeights(list, heights, () => setMeasured((count) => count + 1));
  useSizes(scroller, (element) => setView((old) => {
    const next = { top: element.scrollTop, height: element.clientHeight };
    return Math.abs(old.top - next.top) < AHEAD / 3 && old.height === next.height && next.top > AHEAD / 3 ? old : next;
  }));
  const { start, end } = windowOf(sums, view.top, view.height);
  return { start, end, before: sums[start], after: sums[items.length] - sums[end], sums };
}
