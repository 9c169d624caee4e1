// A chart: its axes, its crosshair with values, its keys, and the same numbers as a table.
import { count, span } from "../../core/format.js";
import { html, useRef, useSizes, useState } from "../../core/html.js";
import { onKeys } from "../../core/keyboard.js";
import { follow, hrefOf, navigate } from "../../state/route.js";
import { DRAWINGS, Marker, isEmpty, mostOf } from "./charts.js";
import { axisTime, periodWords, ticksFor, timeLabels } from "./scales.js";

const HEIGHT = 190;
const TOP = 8;
const BOTTOM = 22;
const LETTER = 6.6;
const LABEL_WIDTH = 62;
const NARROWEST = 180;

/** Return a value in words. No value is "none" where the time is known. */
export function valueWords(/** @type {number | null} */ value, /** @type {"count" | "time"} */ unit, none = "none") {
  if (value === null) return none;
  return unit === "time" ? span(value * 1000) : count(value);
}

/** The scale of a drawing. One unit is one pixel, so that text keeps its size. */
function useScale(/** @type {Ref} */ frame, /** @type {FlowChart} */ chart, /** @type {FlowPeriod[]} */ periods) {
  const [width, setWidth] = useState(480);
  useSizes(frame, (element) => setWidth(Math.max(NARROWEST, Math.round(element.clientWidth))));
  const ticks = ticksFor(mostOf(chart, periods), chart.unit);
  const top = ticks[ticks.length - 1];
  const texts = ticks.map((tick) => (chart.unit === "time" ? axisTime(tick) : count(tick)));
  const begin = Math.ceil(Math.max(...texts.map((text) => text.length)) * LETTER) + 10;
  const step = (width - begin) / periods.length;
  const left = (/** @type {number} */ index) => begin + index * step;
  return {
    width, begin, step, left, ticks: ticks.map((tick, index) => ({ tick, text: texts[index] })),
    middle: (/** @type {number} */ index) => left(index) + step / 2,
    y: (/** @type {number} */ value) => HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP),
    indexAt: (/** @type {number} */ x) =>
      Math.min(periods.length - 1, Math.max(0, Math.floor((x - begin) / step))),
  };
}

function Axes(/** @type {{ scale: FlowScale, periods: FlowPeriod[], step: number }} */ { scale, periods, step }) {
  const most = Math.max(2, Math.floor((scale.width - scale.begin) / LABEL_WIDTH));
  const anchor = (/** @type {number} */ x) =>
    (x > scale.width - LABEL_WIDTH / 2 ? "end" : x < scale.begin + LABEL_WIDTH / 2 ? "start" : "middle");
  return html`${scale.ticks.map(({ tick, text }) => html`<g key=${tick}>
      <line class="flow-grid" x1=${scale.begin} x2=${scale.width} y1=${scale.y(tick)} y2=${scale.y(tick)} />
      <text class="flow-tick" x=${scale.begin - 6} y=${scale.y(tick) + 4} text-anchor="end">${text}</text>
    </g>`)}
    ${timeLabels(periods, step, most).map(([index, text]) => {
      const x = step === 1 ? scale.left(index) : scale.middle(index);
      return html`<text key=${index} class="flow-tick" x=${x} y=${HEIGHT - 5} text-anchor=${anchor(x)}>${text}</text>`;
    })}`;
}

/** The time before the first event, of which nothing is known. */
/** @param {{ chart: FlowChart, scale: FlowScale, periods: FlowPeriod[] }} props */
function Unknown({ chart, scale, periods }) {
  const known = periods.findIndex((period) => period.known);
  const until = known < 0 ? periods.length : known;
  if (until === 0) return null;
  const width = scale.left(until) - scale.begin;
  const isNamed = width > 80 && !isEmpty(chart, periods);
  return html`<g data-testid="flow-unknown">
    <rect class="flow-unknown" fill="url(#flow-unknown)" x=${scale.begin} y=${TOP} width=${width}
        height=${HEIGHT - BOTTOM - TOP} />
    ${isNamed && html`<text class="flow-tick" x=${scale.begin + width / 2} y=${HEIGHT / 2}
        text-anchor="middle">no data yet</text>`}
  </g>`;
}

function Swatch(/** @type {{ chart: FlowChart, series: FlowSeries }} */ { chart, series }) {
  const mark = {
    bars: () => (series.shape === "bar"
      ? html`<rect class=${`flow-bar ${series.id}`} x="3" y="1" width="10" height="10" rx="2" />`
      : html`<path class=${`flow-dash ${series.id}`} d="M1 6h14" />`),
    lines: () => html`<g class=${`flow-line ${series.id}`}>
      <path class="stroke" d="M0 6h16" /><${Marker} shape=${series.shape} x=${8} y=${6} /></g>`,
    areas: () => html`<g class=${`flow-area s-${series.id}`}>
      <rect fill=${`url(#flow-${series.id})`} width="16" height="12" rx="2" /></g>`,
  };
  return html`<svg class="flow-swatch" width="16" height="12" aria-hidden="true">${mark[chart.kind]()}</svg>`;
}

/** The names of the series. With a crosshair, each has its value. */
function Legend(/** @type {{ chart: FlowChart, period: FlowPeriod | null }} */ { chart, period }) {
  return html`<ul class="flow-key" data-testid="flow-key">
    ${chart.series.map((series) => html`<li key=${series.id}>
      <${Swatch} chart=${chart} series=${series} />
      <span>${series.name}</span>${" "}
      ${period && html`<b>${period.known ? valueWords(series.value(period.point), chart.unit) : "unknown"}</b>`}
    </li>`)}
  </ul>`;
}

function wordsOf(/** @type {FlowChart} */ chart, /** @type {FlowPeriod} */ period, /** @type {number} */ step) {
  const values = period.known
    ? chart.series.map((series) => `${series.name} ${valueWords(series.value(period.point), chart.unit)}`)
    : [period.ahead ? "not yet" : "unknown"];
  return `${periodWords(period, step)}: ${values.join(", ")}`;
}

/** @type {Record<string, (at: number, last: number) => number | null>} */
const MOVES = {
  ArrowLeft: (at) => Math.max(0, at - 1),
  ArrowRight: (at, last) => Math.min(last, at + 1),
  Home: () => 0,
  End: (_, last) => last,
  Escape: () => null,
};

/** The numbers of the chart, one line for each point with a link to its tasks. */
function AsTable(/** @type {AsTableProps} */ { chart, periods, step, targetOf }) {
  const [open, setOpen] = useState(false);
  const rows = periods.filter(({ ahead }) => !ahead).reverse();
  const columns = chart.columns ?? chart.series.map(({ name, value }) => [name, value]);
  return html`<details class="flow-table" data-testid="flow-table" onToggle=${(event) => setOpen(event.target.open)}>
    <summary>As a table</summary>
    ${open && html`<div class="table-wrap" tabindex="0" role="group" aria-label=${`${chart.title} as a table`}>
      <table>
        <thead>
          <tr><th scope="col">Time</th>
            ${columns.map(([name]) => html`<th key=${name} scope="col">${name}</th>`)}</tr>
        </thead>
        <tbody>
          ${rows.map((period) => html`<tr key=${period.from}>
            <th scope="row">
              <a href=${hrefOf(targetOf(period))} onClick=${(event) => follow(event, targetOf(period))}>
                ${periodWords(period, step)}${!period.point.complete && period.known && " (in part)"}</a>
            </th>
            ${columns.map(([name, value]) => html`<td key=${name}>
              ${valueWords(value(period.point), chart.unit, period.known ? "–" : "unknown")}
            </td>`)}
          </tr>`)}
        </tbody>
      </table>
    </div>`}
  </details>`;
}

/** @param {ChartProps} props */
export function Chart({ chart, periods, step, at, onPoint, targetOf }) {
  const frame = useRef(null);
  const touched = useRef(/** @type {number | null} */ (null));
  const scale = useScale(frame, chart, periods);
  const period = at === null ? null : periods[at] ?? null;
  const last = periods.findLastIndex(({ ahead }) => !ahead);
  const shown = period ?? periods[last];
  const open = () => navigate(targetOf(shown));
  const onKeyDown = onKeys((event) => {
    const move = MOVES[event.key];
    if (event.key !== "Enter" && (!move || (event.key === "Escape" && at === null))) return;
    event.preventDefault();
    if (move) onPoint(move(at ?? last + (event.key === "ArrowLeft" ? 1 : 0), last));
    else open();
  });
  const indexOf = (/** @type {UiEvent} */ event) =>
    Math.min(last, scale.indexAt(event.clientX - frame.current.getBoundingClientRect().left));
  // A finger has no position before it touches. Its first touch shows the values, and the next one the tasks.
  const onClick = (/** @type {UiEvent} */ event) => {
    const index = indexOf(event);
    if (event.pointerType === "touch" && index !== touched.current) onPoint((touched.current = index));
    else navigate(targetOf(periods[index]));
  };
  const onLeave = (/** @type {UiEvent} */ event) => event.pointerType !== "touch" && onPoint(null);
  const Drawing = DRAWINGS[chart.kind];
  return html`<figure class="flow-chart" data-testid=${`chart-${chart.id}`}>
    <figcaption>
      <h2>${chart.title}</h2>
      <span class="muted flow-time" data-testid="flow-time">${period && periodWords(period, step)}</span>
    </figcaption>
    <${Legend} chart=${chart} period=${period} />
    <div class="flow-frame" ref=${frame} tabindex="0" role="slider" aria-label=${chart.title}
        aria-orientation="horizontal" aria-valuemin="0" aria-valuemax=${last} aria-valuenow=${at ?? last}
        aria-valuetext=${wordsOf(chart, shown, step)} aria-describedby="flow-keys"
        onKeyDown=${onKeyDown} onPointerMove=${(event) => onPoint(indexOf(event))} onPointerLeave=${onLeave}
        onClick=${onClick}>
      <svg viewBox=${`0 0 ${scale.width} ${HEIGHT}`} width=${scale.width} height=${HEIGHT} aria-hidden="true">
        <${Axes} scale=${scale} periods=${periods} step=${step} />
        <${Unknown} chart=${chart} scale=${scale} periods=${periods} />
        <${Drawing} series=${chart.series} periods=${periods} scale=${scale} />
        ${isEmpty(chart, periods) && html`<text class="flow-tick" x=${(scale.begin + scale.width) / 2} y=${HEIGHT / 2}
            text-anchor="middle">Nothing in this range</text>`}
        ${period && html`<line class="flow-cross" x1=${scale.middle(at ?? 0)} x2=${scale.middle(at ?? 0)} y1=${TOP}
            y2=${HEIGHT - BOTTOM} data-testid="flow-cross" />`}
      </svg>
    </div>
    ${chart.note && html`<p class="muted flow-note">${chart.note}</p>`}
    <${AsTable} chart=${chart} periods=${periods} step=${step} targetOf=${targetOf} />
  </figure>`;
}
