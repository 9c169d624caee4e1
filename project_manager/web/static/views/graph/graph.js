// The graph of dependencies. It opens on the work that waits on a person and the tasks that this holds back.
import { bidiIsolate, count, plural, truncate } from "../../core/format.js";
import { cx, html, useEffect, useMemo, useRef, useState } from "../../core/html.js";
import { onKeys } from "../../core/keyboard.js";
import { CLOSED, STATUS_NAMES, canWrite } from "../../core/vocabulary.js";
import { epicOptions } from "../../state/options.js";
import { follow, hrefOf, navigate } from "../../state/route.js";
import { state, useStore } from "../../state/store.js";
import { heldBackWords } from "../../state/waiting.js";
import { Empty } from "../../ui/chips.js";
import { Choice } from "../../ui/choice.js";
import { Icon, Shape } from "../../ui/icons.js";
import { BOX, pathOf } from "./layout.js";
import { packedLayout } from "./pack.js";
import { usePanZoom } from "./pan_zoom.js";
import { MAX_NODES, around, heldBack, numbersHeldBack, withDependencies } from "./questions.js";

const NAME_LETTERS = 33;
/** The size of the page around the drawing, in pixels. */
const AROUND_DRAWING = { width: 48, height: 210 };

const isClosed = (/** @type {number} */ id) => CLOSED.has(state.tasks.get(id)?.status ?? "TODO");

/** Return the state of a task: the number of tasks that it holds back, its holder, or its status. */
function stateWords(/** @type {Task} */ task, /** @type {number} */ held) {
  if (held > 0) return `holds back ${heldBackWords(held)}`;
  if (task.lock) return bidiIsolate(task.lock.holder);
  return task.ready ? "ready" : STATUS_NAMES[task.status];
}

/** A link to its task. In an overview (`far`) it is no link, because a press zooms in. */
function Node(/** @type {NodeProps} */ { task, x, y, longest, far, found, held, most }) {
  const words = stateWords(task, held);
  const spoken = task.lock ? `locked by ${words}` : words;
  const open = { task: task.id };
  const link = far
    ? {}
    : { href: hrefOf(open), "data-task": task.id, onClick: (/** @type {MouseEvent} */ event) => follow(event, open) };
  return html`<${far ? "g" : "a"} ...${link} data-testid="node"
      class=${cx("node", `s-${task.status}`, task.ready && "ready", longest && "longest", found && "found")}
      transform=${`translate(${x} ${y})`}
    role=${far ? "img" : undefined}
      aria-label=${`#${task.id} ${task.name}, ${STATUS_NAMES[task.status]}, ${spoken}`}>
    <title>${task.name}</title>
    <rect class="box" width=${BOX.width} height=${BOX.height} rx="8" />
    <g class=${`status-icon s-${task.status}`} transform="translate(10 8) scale(.875)">
      <${Shape} status=${task.status} />
    </g>
    <text class="node-key" x="30" y="19">#${task.id}</text>
    <text class="node-state" x=${BOX.width - 10} y="19" text-anchor="end">${truncate(words, 20)}</text>
    <text class="node-name" x="10" y="36" clip-path="url(#node-inside)">${truncate(task.name, NAME_LETTERS)}</text>
    ${held > 0 && html`<rect class="node-share" x="8" y=${BOX.height - 4} height="3" rx="1.5"
        width=${Math.max(4, (held / most) * (BOX.width - 16))} />`}
  <//>`;
}

/** Return the matches of a search by id or words, and the steps from one to the next. */
function useFinder(/** @type {GraphLayout} */ drawing, /** @type {(x: number, y: number) => void} */ go) {
  const [words, setWords] = useState("");
  const [at, setAt] = useState(0);
  const terms = words.toLowerCase().split(/\s+/).filter(Boolean);
  const isMatch = (/** @type {number} */ id) => {
    const task = state.tasks.get(id);
    const text = task ? `#${id} ${task.name.toLowerCase()}` : "";
    return terms.length > 0 && terms.every((term) => (/^#?\d+$/.test(term)
      ? `#${id}` === `#${term.replace("#", "")}` || text.includes(` ${term}`)
      : text.includes(term)));
  };
  const matches = drawing.nodes.filter(({ id }) => isMatch(id));
  const jump = (/** @type {number} */ to, found = matches) => {
    if (found.length === 0) return;
    const index = (to + found.length) % found.length;
    setAt(index);
    go(found[index].x + BOX.width / 2, found[index].y + BOX.height / 2);
  };
  return { words, setWords, matches, at: Math.min(at, Math.max(0, matches.length - 1)), jump };
}

function Finder(/** @type {{ finder: ReturnType<typeof useFinder> }} */ { finder }) {
  const { words, setWords, matches, at, jump } = finder;
  const onKeyDown = onKeys((event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      jump(event.shiftKey ? at - 1 : words && matches.length > 1 && event.currentTarget.dataset.jumped ? at + 1 : at);
      event.currentTarget.dataset.jumped = "yes";
    } else if (event.key === "Escape" && words) {
      event.preventDefault();
      event.stopPropagation();
      setWords("");
    }
  });
  const onInput = (/** @type {UiEvent} */ event) => {
    delete event.currentTarget.dataset.jumped;
    setWords(event.currentTarget.value);
  };
  return html`<div class="graph-find" role="search">
    <${Icon} name="search" />
    <input type="text" dir="auto" placeholder="Find in the graph" aria-label="Find in the graph, by id or words"
        value=${words} onInput=${onInput} onKeyDown=${onKeyDown} data-testid="graph-find" />
    <span class="muted" role="status" data-testid="graph-found">
      ${words && (matches.length ? `${count(at + 1)} of ${count(matches.length)}` : "none")}
    </span>
  </div>`;
}

/** @type {[kind: string, text: string][]} */
const LEGEND = [
  ["ready", "ready"], ["held", "in progress"], ["review", "in review"], ["blocked", "blocked"], ["open", "not ready"],
  ["finished", "finished"],
];

function Legend(/** @type {{ longest: number, sized: boolean }} */ { longest, sized }) {
  return html`<p class="graph-key" data-testid="graph-key">
    ${LEGEND.map(([kind, text]) => html`<span key=${kind} class=${`key-box ${kind}`}>${text}</span>`)}
    <span class="key-line">waits for</span>
    <span class="key-line met">no longer waits</span>
    <span class="key-line longest">longest chain: ${plural(longest, "task")}</span>
    ${sized && html`<span class="key-line share">number of tasks that it holds back</span>`}
  </p>`;
}

function Drawing(/** @type {DrawingProps} */ { drawing, fitKey, held }) {
  const frame = useRef(null);
  const { viewBox, handlers, zoom, fit, go, far } = usePanZoom(frame, drawing, fitKey);
  const finder = useFinder(drawing, go);
  const found = new Set(finder.matches.map(({ id }) => id));
  const most = Math.max(1, ...held.values());
  return html`<div class="graph-tools">
      <${Finder} finder=${finder} />
      <button type="button" class="icon-button" aria-label="Zoom in" onClick=${() => zoom(0.8)}>+</button>
      <button type="button" class="icon-button" aria-label="Zoom out" onClick=${() => zoom(1.25)}>−</button>
      <button type="button" onClick=${fit}>Fit <kbd aria-hidden="true">0</kbd></button>
    </div>
    <div class="graph-frame">
    <svg ref=${frame} class=${cx("graph", far && "far", found.size > 0 && "searched")} viewBox=${viewBox} tabindex="0"
        role="group" aria-label="Dependency graph. Arrow keys move, plus and minus zoom, 0 fits." ...${handlers}
        data-testid="graph">
      <defs>
        <clipPath id="node-inside"><rect x="8" y="20" width=${BOX.width - 16} height="22" /></clipPath>
        <marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerUnits="userSpaceOnUse" markerWidth="9"
            markerHeight="9" orient="auto"><path class="tip" d="M0 .5 7.5 4 0 7.5z" /></marker>
      </defs>
      ${drawing.edges.map((edge) => html`<path key=${`${edge.from}-${edge.to}`}
          class=${cx("edge", isClosed(edge.from) && "met", edge.longest && "longest")}
          d=${pathOf(edge.points)} marker-end="url(#tip)" />`)}
      ${drawing.nodes.map(({ id, x, y }) => state.tasks.has(id) && html`<${Node} key=${id} task=${state.tasks.get(id)}
          x=${x} y=${y} longest=${drawing.longest.has(id)} far=${far} found=${found.has(id)}
          held=${held.get(id) ?? 0} most=${most} />`)}
    </svg>
  </div>
  <${Legend} longest=${drawing.longest.size} sized=${held.size > 0} />`;
}

/** Return a key of tasks and dependencies, on which the layout depends. */
const shapeOf = (/** @type {Task[]} */ tasks) => tasks.map((task) => `${task.id}:${task.depends_on}`).join(";");

const windowShape = () =>
  Math.max(0.3, (innerWidth - AROUND_DRAWING.width) / Math.max(200, innerHeight - AROUND_DRAWING.height));

/** Return the layout, and the numbers of tasks that are held back. Parts with more of these come first. */
function drawingOf(/** @type {Task[]} */ tasks, /** @type {boolean} */ waiting) {
  const held = waiting ? numbersHeldBack(tasks) : new Map();
  const weight = (/** @type {Task[]} */ part) =>
    part.reduce((sum, { id }) => sum + 1 + MAX_NODES * (held.get(id) ?? 0), 0);
  return { held, drawing: packedLayout(tasks, windowShape(), weight) };
}

/** The choice between the two questions, and the filters. Around one task there is only the way back. */
function Questions(/** @type {GraphQuestionsProps} */ { route, waiting, closed, onClosed }) {
  if (route.around) {
    return html`<button type="button" onClick=${() => navigate({ around: null })}>
      <${Icon} name="close" />
      Around #${route.around}
    </button>`;
  }
  const show = (/** @type {string} */ tasks) => () => navigate({ show: tasks });
  return html`<div class="segments" role="group" aria-label="Tasks to draw">
      <button type="button" aria-pressed=${waiting} onClick=${show("waiting")} data-testid="graph-waiting">
        Held back by people
      </button>
      <button type="button" aria-pressed=${!waiting} onClick=${show("all")} data-testid="graph-all">All</button>
    </div>
    <${Choice} label="Epic" name="epic" value=${route.epic} options=${epicOptions(route.project)} any="All epics" />
    ${!waiting && html`<label class="check">
      <input type="checkbox" checked=${closed}
          onChange=${(/** @type {UiEvent} */ event) => onClosed(event.target.checked)} />
      Finished too
    </label>`}`;
}

/** Return the tasks to draw. Without a choice, and without work that waits on a person, these are all. */
function useQuestion(/** @type {Route} */ route, /** @type {boolean} */ closed) {
  if (route.around) return { tasks: around(Number(route.around)), alone: 0, waiting: false };
  if (route.show !== "all") {
    const found = heldBack(route);
    if (route.show === "waiting" || found.tasks.length) return { ...found, waiting: true };
  }
  return { tasks: withDependencies(route, closed), alone: 0, waiting: false };
}

export function Graph() {
  useStore((now) => now.revision.tasks + now.revision.plans);
  const route = useStore((now) => now.route);
  const [closed, setClosed] = useState(false);
  const { tasks, alone, waiting } = useQuestion(route, closed);
  const shown = tasks.slice(0, MAX_NODES);
  const shape = shapeOf(shown);
  const { drawing, held } = useMemo(() => drawingOf(shown, waiting), [shape, waiting]);
  useEffect(() => {
    if (route.around && !state.tasks.has(Number(route.around))) navigate({ around: null }, { replace: true });
  }, [route.around]);
  const more = tasks.length > MAX_NODES ? ` of ${tasks.length}: choose a project or an epic to see the rest` : "";
  return html`<section class="page wide graph-page" aria-labelledby="page-title">
    <div class="page-head">
      <h1 id="page-title">Dependencies</h1>
      <span class="muted" data-testid="graph-count">
        ${plural(shown.length, "task")}${more}${alone > 0 && `, and ${count(alone)} more without an open dependent`}
      </span>
      <span class="push"></span>
      <${Questions} route=${route} waiting=${waiting} closed=${closed} onClosed=${setClosed} />
    </div>
    ${shown.length === 0
      ? html`<${Empty} title=${waiting ? "Nothing is held back by people" : "No dependencies to draw"}>
        <p>
          ${waiting
            ? "No open task depends on work that waits for a review, an answer or another decision of a person."
            : html`Tasks that wait for others appear here.${
              canWrite(state.session) && " Edit a task to add dependencies."}`}
        </p>
      <//>`
      : html`<${Drawing} drawing=${drawing} fitKey=${shape} held=${held} />`}
  </section>`;
}
