// The drawings of the charts: bars, lines and stacked areas over the points of a range.
import { html } from "../../core/html.js";
import { runsOf } from "./scales.js";

const MARKER = 3.5;
const SMALL_MARKER = 2.25;
const NARROW = 12;
const BAR_GAP = 0.18;
const LABEL_ROOM = 13;
const LABEL_GAP = 6;
const LETTER = 6.6;

/** Statuses of the cumulative flow from the bottom. Cancelled tasks are in the table only. */
/** @type {Status[]} */
export const BANDS = ["DONE", "REVIEW", "IN_PROGRESS", "BLOCKED", "TODO", "BACKLOG"];

/** @type {Record<string, string>} The lines of the pattern of a status, in a tile of 8 by 8. A solid band has none. */
const INKS = {
  REVIEW: "M-1 9 9 -1M-1 1 1 -1M7 9 9 7",
  IN_PROGRESS: "M2 2h.1M6 6h.1",
  BLOCKED: "M-1 9 9 -1M-1 -1 9 9",
  TODO: "M-1 -1 9 9M-1 7 1 9M7 -1 9 1",
  BACKLOG: "M0 4h8",
};

/** The patterns of the statuses and of unknown time, once in the page. */
export function Patterns() {
  return html`<svg class="hatches" aria-hidden="true" width="0" height="0">
    <defs>
      ${BANDS.map((status) => html`<pattern key=${status} id=${`flow-${status}`} class=${`flow-pattern s-${status}`}
          width="8" height="8" patternUnits="userSpaceOnUse">
        <rect width="8" height="8" />
        <path d=${INKS[status] ?? ""} />
      </pattern>`)}
      ${["unknown", "partial"].map((name) => html`<pattern key=${name} id=${`flow-${name}`}
          class=${`flow-pattern ${name}`} width="6" height="6" patternUnits="userSpaceOnUse"
          patternTransform="rotate(45)">
        <rect width="6" height="6" />
        <path d="M1.5 0v6" />
      </pattern>`)}
    </defs>
  </svg>`;
}

/** The mark of a series: its shape alone identifies it, without colour. */
/** @param {{ shape: string, x: number, y: number, size?: number }} props */
export function Marker({ shape, x, y, size = MARKER }) {
  if (shape === "circle") return html`<circle cx=${x} cy=${y} r=${size} />`;
  const [w, n, e, s] = [x - size, y - size, x + size, y + size];
  if (shape === "square") return html`<path d=${`M${w} ${n}H${e}V${s}H${w}z`} />`;
  return html`<path d=${`M${x} ${n - 0.5}L${e + 0.5} ${s}H${w - 0.5}z`} />`;
}

const numbers = (/** @type {FlowSeries} */ series, /** @type {FlowPeriod[]} */ periods) =>
  periods.map(({ point }) => series.value(point));

/** The bars of the first series, and a dash at the value of the second. */
export function Bars(/** @type {DrawingProps} */ { series: [bars, dashes], periods, scale }) {
  const width = scale.step * (1 - 2 * BAR_GAP);
  return html`${numbers(bars, periods).map((value, index) => value !== null && html`<rect key=${index}
      class=${`flow-bar ${bars.id}`} x=${scale.left(index) + scale.step * BAR_GAP} y=${scale.y(value)}
      width=${width} height=${scale.y(0) - scale.y(value)} rx=${Math.min(2, width / 4)}
      fill=${periods[index].point.complete ? undefined : "url(#flow-partial)"} />`)}
    ${numbers(dashes, periods).map((value, index) => value !== null && html`<path key=${index}
        class=${`flow-dash ${dashes.id}`}
        d=${`M${scale.left(index) + scale.step * BAR_GAP / 2} ${scale.y(value)}h${scale.step * (1 - BAR_GAP)}`} />`)}`;
}

/** A line with a mark at each point. It has a gap where nothing is known. */
/** @param {{ series: FlowSeries, periods: FlowPeriod[], scale: FlowScale }} props */
function Line({ series, periods, scale }) {
  const runs = runsOf(numbers(series, periods));
  const place = (/** @type {[number, number]} */ [index, value]) => `${scale.middle(index)} ${scale.y(value)}`;
  return html`<g class=${`flow-line ${series.id}`}>
    ${runs.map((run) => html`<path key=${run[0][0]} class="stroke" d=${`M${run.map(place).join("L")}`} />`)}
    ${runs.flat().map(([index, value]) => html`<${Marker} key=${index} shape=${series.shape} x=${scale.middle(index)}
        y=${scale.y(value)} size=${scale.step < NARROW ? SMALL_MARKER : MARKER} />`)}
  </g>`;
}

export const Lines = (/** @type {DrawingProps} */ { series, periods, scale }) =>
  series.map((one) => html`<${Line} key=${one.id} series=${one} periods=${periods} scale=${scale} />`);

/** Return the bottom and the top of each band at each point, or null where nothing is known. */
function stack(/** @type {FlowSeries[]} */ series, /** @type {FlowPeriod[]} */ periods) {
  return periods.map(({ point }) => {
    let top = 0;
    const values = series.map(({ value }) => value(point));
    if (values.some((value) => value === null)) return null;
    return values.map((value) => [top, (top += value ?? 0)]);
  });
}

/** The names of the bands at the end of the last point, where the band is high and long enough. */
function BandNames(/** @type {BandNamesProps} */ { series, levels, scale }) {
  const last = levels.findLastIndex((level) => level !== null);
  const first = levels.findLastIndex((level, index) => index < last && level === null) + 1;
  const length = scale.left(last + 1) - scale.left(first);
  return series.map(({ id, name }, band) => {
    const [low, high] = levels[last]?.[band] ?? [0, 0];
    const fits = scale.y(low) - scale.y(high) >= LABEL_ROOM && length >= name.length * LETTER + 2 * LABEL_GAP;
    return fits && html`<text key=${id} class="flow-band-name"
        x=${scale.left(last + 1) - LABEL_GAP} y=${scale.y((low + high) / 2) + 4} text-anchor="end">${name}</text>`;
  });
}

/** Stacked areas, each with the pattern of its status. */
export function Areas(/** @type {DrawingProps} */ { series, periods, scale }) {
  const levels = stack(series, periods);
  const areas = series.map((one, band) => {
    const outline = runsOf(levels.map((level, index) => (level ? index : null))).map((run) => {
      const [first] = run[0];
      const [end] = run[run.length - 1];
      // An area reaches to the edges of its first and last point.
      const at = (/** @type {number} */ index, /** @type {number} */ side) => scale.y(levels[index]?.[band][side] ?? 0);
      const along = (/** @type {number} */ side) => run.map(([index]) => `${scale.middle(index)} ${at(index, side)}`);
      const top = [`${scale.left(first)} ${at(first, 1)}`, ...along(1), `${scale.left(end + 1)} ${at(end, 1)}`];
      const bottom = [`${scale.left(first)} ${at(first, 0)}`, ...along(0), `${scale.left(end + 1)} ${at(end, 0)}`];
      return { area: `M${[...top, ...bottom.reverse()].join("L")}z`, line: `M${top.join("L")}` };
    });
    return html`<g key=${one.id} class=${`flow-area s-${one.id}`}>
      ${outline.map(({ area, line }, index) => html`<path key=${index} fill=${`url(#flow-${one.id})`} d=${area} />
        <path class="edge-line" d=${line} />`)}
    </g>`;
  });
  return html`${areas}<${BandNames} series=${series} levels=${levels} scale=${scale} />`;
}

/** Return whether no point of the chart has a value. */
export const isEmpty = (/** @type {FlowChart} */ { series }, /** @type {FlowPeriod[]} */ periods) =>
  series.every((one) => numbers(one, periods).every((value) => value === null));

/** The largest value of the drawing. */
export function mostOf(/** @type {FlowChart} */ { kind, series }, /** @type {FlowPeriod[]} */ periods) {
  if (kind === "areas") {
    return Math.max(0, ...stack(series, periods).map((level) => level?.[level.length - 1][1] ?? 0));
  }
  return Math.max(0, ...series.flatMap((one) => numbers(one, periods).map((value) => value ?? 0)));
}

export const DRAWINGS = { bars: Bars, lines: Lines, areas: Areas };
