// Line icons, drawn on a 16 x 16 grid.
import { html } from "../core/html.js";

/** @type {Record<string, string>} */
const PATHS = {
  board: "M2.5 3h3v10h-3zM6.5 3h3v7h-3zM10.5 3h3v5h-3z",
  inbox: "M2.5 9.5 4 3.5h8l1.5 6v3h-11zM2.5 9.5h3l1 1.5h3l1-1.5h3",
  agents: "M5 6.5h6v5H5zM8 6.5V4M8 3.2v.1M3 8v2M13 8v2M6.8 8.8v.4M9.2 8.8v.4",
  activity: "M1.5 8.5h3l2-5 3 9 2-4h3",
  graph: "M3 3.5h3v3H3zM10 2.5h3v3h-3zM10 10.5h3v3h-3zM6 5h2v-1h2M6 5h2v7h2",
  flow: "M2.5 2.5v11h11M5 10.5l2.5-3 2.5 1.5 3.5-5",
  projects: "M2 4.5h4l1.5 1.5H14v7H2z",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.7 10.7 14 14",
  plus: "M8 3v10M3 8h10",
  close: "M4 4l8 8M12 4l-8 8",
  lock: "M4 7.5h8v6H4zM5.5 7.5V5.5a2.5 2.5 0 0 1 5 0v2",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 5v3l2 1.5",
  human: "M8 8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM3 13.5c.5-2.6 2.5-4 5-4s4.5 1.4 5 4",
  system:
    "M8 10.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4zM8 2v2M8 12v2M2 8h2M12 8h2M3.8 3.8l1.4 1.4"
    + "M10.8 10.8l1.4 1.4M12.2 3.8l-1.4 1.4M5.2 10.8l-1.4 1.4",
  link: "M6.5 9.5l3-3M7 4.5l1.2-1.2a2.5 2.5 0 0 1 3.5 3.5L10.5 8M9 11.5l-1.2 1.2a2.5 2.5 0 0 1-3.5-3.5L5.5 8",
  edit: "M3 13l.6-2.8 7-7 2.2 2.2-7 7zM9.5 4.3l2.2 2.2",
  trash: "M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.5 9h6l.5-9M6.8 7v4M9.2 7v4",
  sun:
    "M8 10.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM8 1.5v1.5M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1 1"
    + "M11.6 11.6l1 1M12.6 3.4l-1 1M4.4 11.6l-1 1",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z",
  auto: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 2v12M8 4.5h3.6M8 8h6M8 11.5h3.6",
  help: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM6.3 6.3a1.8 1.8 0 1 1 2.5 1.6c-.6.3-.8.6-.8 1.3M8 11.2v.1",
  offline:
    "M2 2l12 12M2 6.5a9 9 0 0 1 3-1.9M8.5 4.2A9 9 0 0 1 14 6.5M4 9a6 6 0 0 1 3-1.5M6 11.3a3 3 0 0 1 4 0"
    + "M8 13.3v.1",
  refresh: "M13 8a5 5 0 1 1-1.5-3.6M13 2.5V5h-2.5",
  check: "M3 8.5l3.2 3.2L13 5",
  warn: "M8 2.5 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.1",
  arrow: "M3 8h10M9.5 4.5 13 8l-3.5 3.5",
  chevron: "M6 4l4 4-4 4",
  up: "M8 13V3M4.5 6.5 8 3l3.5 3.5",
  down: "M8 3v10M4.5 9.5 8 13l3.5-3.5",
  table: "M2.5 3h11v10h-11zM2.5 6.5h11M2.5 9.8h11M6 6.5V13",
  bookmark: "M4.5 2.5h7v11L8 11l-3.5 2.5z",
  collapse: "M10 4 6 8l4 4",
  filter: "M2.5 3.5h11L9.5 8.5v4l-3 1.5V8.5z",
  label: "M2.5 3h5L13.5 9 9 13.5 2.5 7.5zM5.4 5.7v.1",
  flag: "M4 14V2.5M4 3h8l-1.5 3L12 9H4",
  hand:
    "M4.5 8V4.5a1 1 0 0 1 2 0V7M6.5 7V3a1 1 0 0 1 2 0v4M8.5 7V3.5a1 1 0 0 1 2 0V8"
    + "M10.5 8V5.5a1 1 0 0 1 2 0V10a4 4 0 0 1-4 4c-2 0-3-1-4.5-4-.5-1-1-1.8.2-2.3s1.3.8 1.3.8",
  pause: "M5.5 3v10M10.5 3v10",
  play: "M5 3l8 5-8 5z",
  out: "M6.5 3H3v10h3.5M7 8h7M11 5l3 3-3 3",
  log: "M3 3h10v8H8l-3 2.5V11H3z",
  history: "M3 8a5 5 0 1 1 1.5 3.6M3 4v3h3M8 5.5V8l2 1.3",
  bell: "M4 11.5V7a4 4 0 0 1 8 0v4.5M2.5 11.5h11M6.8 13.5h2.4",
  import: "M8 2.5v7M5 6.8l3 3 3-3M2.5 10.5v3h11v-3",
  export: "M8 9.8v-7M5 5.5l3-3 3 3M2.5 10.5v3h11v-3",
  plug: "M6 2.5v3M10 2.5v3M4.5 5.5h7v2.5a3.5 3.5 0 0 1-7 0zM8 11.5v2.5",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  wide: "M9.5 3H13v3.5M13 3 9 7M6.5 13H3V9.5M3 13l4-4",
  narrow: "M9 3.5V7h3.5M13 3 9 7M7 12.5V9H3.5M3 13l4-4",
  more: "M3.5 8h.1M8 8h.1M12.5 8h.1",
};

export function Icon(/** @type {{ name: string, label?: string }} */ { name, label }) {
  const named = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  return html`<svg class=${`icon icon-${name}`} viewBox="0 0 16 16" width="16" height="16" ...${named}>
    <path d=${PATHS[name]} />
  </svg>`;
}

/** @type {Record<Status, [tag: string, attributes?: object][]>} */
const SHAPES = {
  BACKLOG: [["circle", { "stroke-dasharray": "2 1.8" }]],
  TODO: [["circle"]],
  IN_PROGRESS: [["circle"], ["path", { class: "solid", d: "M8 5a3 3 0 0 1 0 6z" }]],
  REVIEW: [["circle"], ["path", { class: "solid", d: "M8 5a3 3 0 1 1-3 3h3z" }]],
  BLOCKED: [["circle"], ["path", { d: "M4.3 11.7l7.4-7.4" }]],
  DONE: [["circle", { class: "solid" }], ["path", { class: "cut", d: "M5.3 8.2l1.9 1.9 3.6-4" }]],
  CANCELLED: [["circle"], ["path", { d: "M6 6l4 4M10 6l-4 4" }]],
};
const ROUND = { cx: 8, cy: 8, r: 5.5 };

/** The icon of a status. Its shape alone identifies the status, without colour. */
export function StatusIcon(/** @type {{ status: Status }} */ { status }) {
  return html`<svg class=${`status-icon s-${status}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
    <${Shape} status=${status} />
  </svg>`;
}

/** The shape without an SVG element, for use within a drawing. */
export function Shape(/** @type {{ status: Status }} */ { status }) {
  const base = (/** @type {string} */ tag) => (tag === "circle" ? ROUND : {});
  return SHAPES[status].map(([tag, attributes]) => html`<${tag} ...${base(tag)} ...${attributes} />`);
}
