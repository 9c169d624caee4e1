// The graph of dependencies.
import { bidiIsolate, plural, truncate } from "../../core/format.js";
import { cx, html, useEffect, useMemo, useRef, useState } from "../../core/html.js";
import { CLOSED, STATUS_NAMES, canWrite } from "../../core/vocabulary.js";
import { testOf } from "../../state/filters.js";
import { epicOptions, projectOptions } from "../../state/options.js";
import { follow, hrefOf, navigate } from "../../state/route.js";
import { state, useStore } from "../../state/store.js";
import { Empty } from "../../ui/chips.js";
import { Icon, Shape } from "../../ui/icons.js";
import { Choice } from "../board/filter_bar.js";
import { BOX, layout, pathOf } from "./layout.js";
import { usePanZoom } from "./pan_zoom.js";

const MAX_NODES = 400;

const isClosed = (/** @type {number} */ id) => CLOSED.has(state.tasks.get(id)?.status ?? "TODO");

/** Return the task with all of its transitive dependencies and dependents. */
function around(/** @type {number} */ id) {
  const found = new Set([id]);
  const walk = (/** @type {(id: number) => Iterable<number>} */ next) => {
    const queue = [id];
    while (queue.length && found.size < MAX_NODES) {
      for (const other of next(/** @type {number} */ (queue.shift()))) {
        if (!found.has(other)) queue.push(other);
        found.add(other);
      }
    }
  };
  walk((task) => state.tasks.get(task)?.depends_on ?? []);
  walk((task) => state.dependents.get(task) ?? []);
  return [...found].map((task) => state.tasks.get(task)).filter((task) => task !== undefined);
}

/** Return the tasks with dependencies. Closed tasks are included only on request or if open tasks depend on them. */
function chosen(/** @type {Route} */ route, /** @type {boolean} */ closed) {
  if (route.around) return around(Number(route.around));
  const test = testOf({ project: route.project, epic: route.epic, label: route.label }) ?? (() => true);
  const pool = [...state.tasks.values()].filter((task) => test(task) && (closed || !CLOSED.has(task.status)));
  const ids = new Set(pool.map((task) => task.id));
  const linked = (/** @type {Task} */ task) =>
    task.depends_on.some((id) => ids.has(id)) || [...(state.dependents.get(task.id) ?? [])].some((id) => ids.has(id));
  return pool.filter(linked);
}

/** A link to its task. In an overview (`far`) it is no link, because a press zooms in. */
function Node(/** @type {NodeProps} */ { task, x, y, longest, far }) {
  const statusText = task.lock
    ? `locked by ${bidiIsolate(task.lock.holder)}`
    : task.ready
    ? "ready"
    : STATUS_NAMES[task.status];
  const open = { task: task.id };
  const link = far
    ? {}
    : { href: hrefOf(open), "data-task": task.id, onClick: (/** @type {MouseEvent} */ event) => follow(event, open) };
  return html`<${far ? "g" : "a"} ...${link} data-testid="node"
      class=${cx("node", `s-${task.status}`, task.ready && "ready", longest && "longest")}
      transform=${`translate(${x} ${y})`}
    role=${far ? "img" : undefined}
      aria-label=${`#${task.id} ${task.name}, ${STATUS_NAMES[task.status]}, ${statusText}`}>
    <title>${task.name}</title>
    <rect class="box" width=${BOX.width} height=${BOX.height} rx="8" />
    <g class=${`status-icon s-${task.status}`} transform="translate(10 8) scale(.875)">
      <${Shape} status=${task.status} />
    </g>
    <text class="node-key" x="30" y="19">#${task.id}</text>
    <text class="node-state" x=${BOX.width - 10} y="19" text-anchor="end">${truncate(statusText, 16)}</text>
    <text class="node-name" x="10" y="36" clip-path="url(#node-inside)">${truncate(task.name, 26)}</text>
  <//>`;
}

function Drawing(/** @type {{ drawing: GraphLayout, fitKey: string }} */ { drawing, fitKey }) {
  const frame = useRef(null);
  const { viewBox, handlers, zoom, fit, far } = usePanZoom(frame, drawing, fitKey);
  return html`<div class="graph-frame">
    <svg ref=${frame} class=${cx("graph", far && "far")} viewBox=${viewBox} tabindex="0" role="group"
        aria-label="Dependency graph. Arrow keys move, plus and minus zoom, 0 fits." ...${handlers} data-testid="graph">
      <defs>
        <clipPath id="node-inside"><rect x="8" y="20" width=${BOX.width - 16} height="22" /></clipPath>
        <marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerUnits="userSpaceOnUse" markerWidth="9"
            markerHeight="9" orient="auto"><path class="tip" d="M0 .5 7.5 4 0 7.5z" /></marker>
      </defs>
      ${drawing.edges.map((edge) => html`<path key=${`${edge.from}-${edge.to}`}
          class=${cx("edge", isClosed(edge.from) && "met", edge.longest && "longest")}
          d=${pathOf(edge.points)} marker-end="url(#tip)" />`)}
      ${drawing.nodes.map(({ id, x, y }) => state.tasks.has(id) && html`<${Node} key=${id} task=${state.tasks.get(id)}
          x=${x} y=${y} longest=${drawing.longest.has(id)} far=${far} />`)}
    </svg>
    <div class="graph-tools">
      <button type="button" class="icon-button" aria-label="Zoom in" onClick=${() => zoom(0.8)}>+</button>
      <button type="button" class="icon-button" aria-label="Zoom out" onClick=${() => zoom(1.25)}>−</button>
      <button type="button" onClick=${fit}>Fit</button>
    </div>
  </div>`;
}

/** Return a key of tasks and dependencies, on which the layout depends. */
const shapeOf = (/** @type {Task[]} */ tasks) => tasks.map((task) => `${task.id}:${task.depends_on}`).join(";");

export function Graph() {
  useStore((now) => now.revision.tasks + now.revision.plans);
  const route = useStore((now) => now.route);
  const [closed, setClosed] = useState(false);
  const tasks = chosen(route, closed);
  const shown = tasks.slice(0, MAX_NODES);
  const shape = shapeOf(shown);
  const drawing = useMemo(() => layout(shown), [shape]);
  useEffect(() => {
    if (route.around && !state.tasks.has(Number(route.around))) navigate({ around: null }, { replace: true });
  }, [route.around]);
  return html`<section class="page wide graph-page" aria-labelledby="page-title">
    <div class="page-head">
      <h1 id="page-title">Dependencies</h1>
      <span class="muted" data-testid="graph-count">
        ${plural(shown.length, "task")}
        ${tasks.length > MAX_NODES ? ` of ${tasks.length}: choose a project or an epic to see the rest` : ""}
      </span>
      <span class="push"></span>
      ${route.around
        ? html`<button type="button" onClick=${() => navigate({ around: null })}>
          <${Icon} name="close" />
          Around #${route.around}
        </button>`
        : html`<${Choice} label="Project" name="project" value=${route.project} options=${projectOptions()}
            any="All projects" />
          <${Choice} label="Epic" name="epic" value=${route.epic} options=${epicOptions(route.project)}
              any="All epics" />
        <label class="check">
          <input type="checkbox" checked=${closed} onChange=${(event) => setClosed(event.target.checked)} />
          Finished too
        </label>`}
    </div>
    ${shown.length === 0
      ? html`<${Empty} title="No dependencies to draw">
        <p>Tasks that wait for others appear here.${canWrite(state.session) && " Edit a task to add dependencies."}</p>
      <//>`
      : html`<${Drawing} drawing=${drawing} fitKey=${shape} />
        <p class="graph-key">
          <span class="key-ready">ready</span>
          <span class="key-longest">longest chain: ${plural(drawing.longest.size, "task")}</span>
        </p>`}
  </section>`;
}
