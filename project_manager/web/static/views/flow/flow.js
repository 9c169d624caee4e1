// The flow: how much work gets done, how long it takes, and where it waits.
import { count, hourAndMinute, span } from "../../core/format.js";
import { html, useEffect, useMemo, useState } from "../../core/html.js";
import { STATUSES, STATUS_NAMES } from "../../core/vocabulary.js";
import { DEFAULT_RANGE, RANGES, compared, idleShare, periodsOf, rangeOf, useFlow } from "../../state/flow.js";
import { agentOptions, epicOptions } from "../../state/options.js";
import { navigate } from "../../state/route.js";
import { useStore } from "../../state/store.js";
import { loadAgents } from "../../state/agents.js";
import { Empty } from "../../ui/chips.js";
import { Choice } from "../../ui/choice.js";
import { Icon } from "../../ui/icons.js";
import { RangeLinks } from "../../ui/range_links.js";
import { BANDS, Patterns } from "./charts.js";
import { Chart } from "./chart.js";

/** @returns {FlowChart[]} */
const timeCharts = (/** @type {number} */ step) => [
  {
    id: "throughput", title: "Throughput", kind: "bars", unit: "count",
    note: `Tasks per ${step === 1 ? "hour" : step === 24 ? "day" : `${step} hours`}. A hatched bar is not complete.`,
    series: [
      { id: "completed", name: "Done", shape: "bar", value: (point) => point.completed },
      { id: "created", name: "Created", shape: "dash", value: (point) => point.created },
    ],
    columns: [
      ["Done", (point) => point.completed], ["Created", (point) => point.created],
      ["Cancelled", (point) => point.cancelled], ["Reopened", (point) => point.reopened],
      ["Submitted", (point) => point.submitted], ["Reviewed", (point) => point.reviewed],
      ["Failed", (point) => point.failed], ["Expired", (point) => point.expired],
    ],
  },
  {
    id: "cycle", title: "Cycle time", kind: "lines", unit: "time", note: "From the first claim of a task to Done.",
    series: [
      { id: "p50", name: "Half of the tasks within", shape: "circle", value: (point) => point.cycle_p50_seconds },
      { id: "p95", name: "95 % within", shape: "square", value: (point) => point.cycle_p95_seconds },
    ],
  },
  {
    id: "waiting", title: "Where work waits", kind: "lines", unit: "time",
    note: "Half of the tasks waited at most so long. An agent is idle between two leases, up to an hour apart.",
    series: [
      { id: "review", name: "In review", shape: "circle", value: (point) => point.review_p50_seconds },
      { id: "ready", name: "Ready", shape: "square", value: (point) => point.ready_p50_seconds },
      { id: "idle", name: "Idle between leases", shape: "triangle", value: (point) => point.idle_seconds },
    ],
    columns: [
      ["In review, half within", (point) => point.review_p50_seconds],
      ["In review, 95 % within", (point) => point.review_p95_seconds],
      ["Ready, half within", (point) => point.ready_p50_seconds],
      ["Ready, 95 % within", (point) => point.ready_p95_seconds],
      ["Idle between leases", (point) => point.idle_seconds], ["Leased", (point) => point.leased_seconds],
    ],
  },
];

/** Return the number of tasks that were Done before the first known point of the range, and all the time since. */
function doneBefore(/** @type {FlowPeriod[]} */ periods) {
  const known = periods.map(({ point }) => point).filter(({ counts }) => counts);
  const done = known.map(({ counts }) => counts?.DONE ?? 0);
  return known.length ? Math.max(0, Math.min(...done, done[0] - (known[0].completed ?? 0))) : 0;
}

/** The cumulative flow. Done counts from its smallest number, so that the other bands stay visible. */
/** @returns {FlowChart} */
function cumulative(/** @type {FlowPeriod[]} */ periods) {
  const numberOf = (/** @type {FlowPointView} */ point, /** @type {Status} */ status) => point.counts?.[status] ?? null;
  const base = doneBefore(periods);
  return {
    id: "cumulative", title: "Cumulative flow", kind: "areas", unit: "count",
    note: base ? `Without the ${count(base)} tasks that were Done all the time.` : undefined,
    series: BANDS.map((status) => ({
      id: status, name: STATUS_NAMES[status], shape: "area",
      value: (point) => {
        const number = numberOf(point, status);
        return number === null || status !== "DONE" ? number : number - base;
      },
    })),
    columns: STATUSES.map((status) => [STATUS_NAMES[status], (point) => numberOf(point, status)]),
  };
}

const time = (/** @type {number | null} */ seconds) => (seconds === null ? null : span(seconds * 1000));
const within = (/** @type {number | null} */ seconds) => (seconds === null ? "" : `95 % within ${time(seconds)}`);
const rate = (/** @type {number | null} */ number) =>
  (number === null ? "" : `${number < 10 ? number.toFixed(1) : count(Math.round(number))} per hour`);
const share = (/** @type {number | null} */ part) => (part === null ? null : `${Math.round(part * 100)} %`);

/** Return the figures on top. `more`: whether a larger value is better, or null if neither is. */
/** @returns {FlowFigure[]} */
function figuresOf(/** @type {FlowTotalsView} */ now, /** @type {FlowTotalsView | null} */ before) {
  const of = (/** @type {"cycle_p50_seconds" | "review_p50_seconds" | "ready_p50_seconds"} */ name) =>
    compared(now[name], before?.[name], false);
  return [
    {
      id: "done", name: "Done", value: now.completed === null ? null : count(now.completed), more: rate(now.per_hour),
      change: compared(now.per_hour, before?.per_hour, true),
    },
    {
      id: "cycle", name: "Cycle time", value: time(now.cycle_p50_seconds), more: within(now.cycle_p95_seconds),
      change: of("cycle_p50_seconds"),
    },
    {
      id: "review", name: "In review", value: time(now.review_p50_seconds), more: within(now.review_p95_seconds),
      change: of("review_p50_seconds"),
    },
    {
      id: "ready", name: "Ready until claimed", value: time(now.ready_p50_seconds), more: within(now.ready_p95_seconds),
      change: of("ready_p50_seconds"),
    },
    {
      id: "idle", name: "Idle between leases", value: share(idleShare(now)),
      more: now.idle_seconds ? `${time(now.idle_seconds)} in total` : "",
      change: compared(idleShare(now), idleShare(before), false),
    },
  ];
}

function Figure(/** @type {{ figure: FlowFigure, words: string }} */ { figure, words }) {
  const { id, name, value, more, change } = figure;
  return html`<li class="flow-figure" data-testid=${`figure-${id}`}>
    <span class="flow-name">${name}</span>
    <b>${value ?? "–"}</b>
    <span class="muted">${more || " "}</span>
    ${change
      ? html`<span class=${`flow-change ${change.tone}`} title=${`Compared with the ${words} before`}>
        ${change.sign !== 0 && html`<span aria-hidden="true">${change.sign > 0 ? "▲" : "▼"}</span>`}
        <span class="sr">${change.sign > 0 ? "more by " : change.sign < 0 ? "less by " : ""}</span>${change.words}
        <span class="sr"> compared with the ${words} before</span>
      </span>`
      : html`<span class="flow-change muted">nothing to compare</span>`}
  </li>`;
}

/** The choice of an epic or an agent. An agent works in all projects, so that its flow has no project. */
function Scope(/** @type {{ scope: FlowScope }} */ { scope }) {
  const plans = useStore((now) => now.revision.plans);
  const known = useStore((now) => now.revision.agents);
  useEffect(() => {
    loadAgents().catch(() => {}); // without the list, no agent can be chosen
  }, []);
  const epics = useMemo(() => epicOptions(scope.project), [plans, scope.project]);
  /** @type {Choice[]} */
  const agents = useMemo(() => agentOptions(), [known]);
  return html`<${Choice} label="Epic" name="epic" value=${scope.epic} options=${epics} any="All epics"
        testid="flow-epic" onChange=${(/** @type {string | null} */ epic) => navigate({ epic, agent: null })} />
    <${Choice} label="Agent" name="agent" value=${scope.agent} options=${agents} any="All agents"
        testid="flow-agent"
        onChange=${(/** @type {string | null} */ agent) => navigate({ agent, project: null, epic: null })} />`;
}

/** Return the address of the tasks of a period: those that became Done in it. */
const targetIn = (/** @type {FlowScope} */ scope) => (/** @type {FlowPeriod} */ { from, until }) => ({
  view: "table", status: "DONE", project: scope.project, epic: scope.epic, worked_by: scope.agent,
  completed_since: new Date(from).toISOString(), completed_until: new Date(until).toISOString(),
});

/** @param {{ flow: FlowView, before: FlowTotalsView | null, scope: FlowScope }} props */
function Charts({ flow, before, scope }) {
  const [at, setAt] = useState(/** @type {number | null} */ (null));
  const periods = useMemo(() => periodsOf(flow), [flow]);
  const { words, step } = RANGES[scope.range];
  const charts = scope.agent ? timeCharts(step) : [...timeCharts(step), cumulative(periods)];
  return html`<${Patterns} />
    <ul class="flow-figures" aria-label=${`The last ${words}, compared with the ${words} before`}>
      ${figuresOf(flow.totals, before).map((figure) => html`<${Figure} key=${figure.id} figure=${figure}
          words=${words} />`)}
    </ul>
    <p class="sr" id="flow-keys">The arrow keys move in a chart. Enter shows the tasks that became Done then.</p>
    <div class="flow-charts">
      ${charts.map((chart) => html`<${Chart} key=${chart.id} chart=${chart} periods=${periods} step=${step} at=${at}
          onPoint=${setAt} targetOf=${targetIn(scope)} />`)}
    </div>`;
}

function Body(/** @type {{ read: FlowRead, scope: FlowScope }} */ { read, scope }) {
  const { flow, before, error } = read;
  const failed = error && html`<p class="notice" role="alert" data-testid="flow-error">
    <${Icon} name="warn" />
    <span>${error.message} ${error.hint}</span>
  </p>`;
  if (!flow) return failed ?? html`<p class="muted" role="status">Reading the flow…</p>`;
  if (!flow.known_since || flow.totals.created === null) {
    return html`${failed}<${Empty} title="No flow yet">
      <p>
        Figures appear within a minute after the first task is created. Times appear when agents have claimed and
        finished tasks.
      </p>
    <//>`;
  }
  return html`${failed}<${Charts} key=${read.key} flow=${flow} before=${before} scope=${scope} />`;
}

const routeOf = (/** @type {State} */ now) => now.route;

export function Flow() {
  const route = useStore(routeOf);
  const scope = {
    range: rangeOf(route.range), project: route.project, epic: route.epic,
    agent: route.project || route.epic ? null : route.agent,
  };
  const read = useFlow(scope);
  const asOf = read.flow?.as_of;
  return html`<section class="page flow" aria-labelledby="page-title">
    <div class="page-head">
      <h1 id="page-title">Flow</h1>
      <${RangeLinks} ranges=${RANGES} range=${scope.range} usual=${DEFAULT_RANGE} />
      <${Scope} scope=${scope} />
      <span class="push"></span>
      ${asOf && html`<span class="muted" data-testid="flow-as-of">
        as of ${hourAndMinute(Date.parse(asOf))}, compared with the ${RANGES[scope.range].words} before
      </span>`}
    </div>
    <${Body} read=${read} scope=${scope} />
  </section>`;
}
