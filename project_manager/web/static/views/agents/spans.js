// Rules of the timeline of an agent: rows, merged bars and figures. Nothing here renders.

export const MIN_BAR_WIDTH = 3;
const MOST_ROWS = 4;
// Merged bars keep this distance in pixels, so that single ones remain single.
const GAP = 1;

/** Return the bars in rows, so that leases held at the same time do not overlap. The last row takes what is left. */
export function rowsOf(/** @type {LaneBar[]} */ bars) {
  /** @type {{ end: number, bars: LaneBar[] }[]} */
  const rows = [];
  for (const bar of [...bars].sort((a, b) => a.since - b.since || a.task - b.task)) {
    let row = rows.find(({ end }) => end <= bar.since);
    if (!row && rows.length < MOST_ROWS) {
      row = { end: 0, bars: [] };
      rows.push(row);
    }
    row ??= rows[MOST_ROWS - 1];
    row.bars.push(bar);
    row.end = Math.max(row.end, bar.until);
  }
  return rows.map((row) => row.bars);
}

/**
 * Return the bars of a row as groups { begin, width, bars } in pixels. Bars that are narrower than a visible bar and
 * next to each other are one group, so that a week of short leases needs no more elements than it has pixels.
 * @param {LaneBar[]} bars @param {(at: number) => number} x @param {number} width
 * @returns {BarGroup[]}
 */
export function groupsOf(bars, x, width) {
  /** @type {BarGroup[]} */
  const groups = [];
  for (const bar of bars) {
    const begin = Math.min(Math.max(0, x(bar.since)), width - MIN_BAR_WIDTH);
    const size = Math.max(MIN_BAR_WIDTH, Math.min(width, x(bar.until)) - begin);
    const last = groups[groups.length - 1];
    const isNear = last && begin < last.begin + last.width + GAP;
    if (isNear && size <= MIN_BAR_WIDTH && last.isNarrow) {
      last.bars.push(bar);
      last.width = Math.max(last.width, begin + size - last.begin);
    } else groups.push({ begin, width: size, bars: [bar], isNarrow: size <= MIN_BAR_WIDTH });
  }
  return groups;
}

/** Return the numbers of leases by their end, as [[end, number]], the most frequent first. */
export function endsOf(/** @type {LaneBar[]} */ bars) {
  /** @type {Map<string, number>} */
  const numbers = new Map();
  for (const { end } of bars) numbers.set(end, (numbers.get(end) ?? 0) + 1);
  return [...numbers].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

/** Return the median, or null of no values. */
export function median(/** @type {number[]} */ values) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Return the time in milliseconds in which at least one of the bars runs, from `from` on. */
function busyTime(/** @type {LaneBar[]} */ bars, /** @type {number} */ from) {
  let busy = 0;
  let end = from;
  for (const bar of [...bars].sort((a, b) => a.since - b.since)) {
    busy += Math.max(0, bar.until - Math.max(end, bar.since));
    end = Math.max(end, bar.until);
  }
  return busy;
}

/** Return the figures of the leases that were alive after `from`. A status set without a claim has no length. */
export function figuresOf(/** @type {LaneBar[]} */ bars, /** @type {number} */ from) {
  const ended = bars.filter((bar) => bar.end !== "running");
  const number = (/** @type {string[]} */ ...ends) => ended.filter((bar) => ends.includes(bar.end)).length;
  const timed = ended.filter((bar) => bar.until > bar.since);
  /** @type {Map<number, number>} */
  const ofTasks = new Map();
  for (const bar of timed) ofTasks.set(bar.task, (ofTasks.get(bar.task) ?? 0) + bar.until - bar.since);
  return {
    done: number("done"),
    review: number("review"),
    failed: number("failed"),
    expired: number("expired", "unconfirmed"),
    other: number("blocked", "cancelled", "released", "forced", "stopped", "deleted"),
    running: bars.length - ended.length,
    perLease: median(timed.map((bar) => bar.until - bar.since)),
    perTask: median([...ofTasks.values()]),
    busy: busyTime(bars, from),
  };
}
