// The state of the fleet in one line below the bar. Each part links to the view with its items.
import { serverNow, useNow } from "../../core/clock.js";
import { count, hourAndMinute, plural } from "../../core/format.js";
import { cx, html } from "../../core/html.js";
import { fleetOf, isStarved } from "../../state/fleet.js";
import { follow, hrefOf } from "../../state/route.js";
import { state, useStore, useThrottled } from "../../state/store.js";
import { numberWaiting } from "../../state/waiting.js";
import { Icon } from "../../ui/icons.js";
import { VIEWS } from "../views.js";

/** @typedef {ReturnType<typeof fleetOf>} Fleet */

const NOWHERE = { around: null, task: null };

/** Return the revision of all that the strip counts. */
const revisionOf = (/** @type {State} */ { revision, route, pauses }) =>
  `${revision.tasks} ${revision.agents} ${revision.plans} ${route.project} ${pauses.length}`;

/** Return the kinds of work that wait on a person, such as ["31 reviews", "2 questions"]. */
function kindsOf(/** @type {Fleet} */ { reviews, questions, blocked, stuck }, short = false) {
  return [
    reviews && plural(reviews, "review"),
    questions && plural(questions, "question"),
    blocked && (short ? `${count(blocked)} blocked` : plural(blocked, "blocked task")),
    stuck && (short ? `${count(stuck)} stuck` : plural(stuck, "stuck task")),
  ].filter(Boolean);
}

/** Return "hold back 98 tasks", or `otherwise` if they hold back nothing. */
function effectOf(/** @type {Fleet} */ fleet, /** @type {string} */ otherwise) {
  if (fleet.held === 0) return otherwise;
  return `${numberWaiting(fleet) === 1 ? "holds" : "hold"} back ${plural(fleet.held, "task")}`;
}

/** Return one kind by its name, or several as decisions, for small screens. */
const inShort = (/** @type {Fleet} */ fleet) =>
  (kindsOf(fleet).length === 1 ? kindsOf(fleet)[0] : plural(numberWaiting(fleet), "decision"));

/** Return the words of the part about the work that waits on a person, long and short. */
function waitingWords(/** @type {Fleet} */ fleet) {
  if (numberWaiting(fleet) === 0) return ["nothing to decide"];
  const effect = effectOf(fleet, "to decide");
  return [`${kindsOf(fleet, true).join(", ")} ${effect}`, `${inShort(fleet)} ${effect}`];
}

/** Return the action of the person, as a verb. */
function actOn(/** @type {Fleet} */ fleet) {
  const { reviews, questions, blocked, stuck } = fleet;
  const one = numberWaiting(fleet) === 1 ? "it" : "them";
  const verbs = [reviews && "review", questions && "answer", blocked && "unblock", stuck && "move"].filter(Boolean);
  return verbs.length === 1 ? `${verbs[0]} ${one}` : "decide";
}

/** Return the sentence about a starved fleet, long and short. */
function advice(/** @type {Fleet} */ fleet) {
  const kinds = kindsOf(fleet);
  const last = kinds.length > 1 ? ` and ${kinds[kinds.length - 1]}` : "";
  const waiting = `${(last ? kinds.slice(0, -1) : kinds).join(", ")}${last}`;
  const verb = numberWaiting(fleet) === 1 ? "waits" : "wait";
  const idle = `${plural(fleet.idle, "agent")} idle`;
  return [`${idle} while ${waiting} ${verb}: ${actOn(fleet)}`, `${idle}: ${inShort(fleet)} ${effectOf(fleet, verb)}`];
}

/** Long words, and short ones for small screens. */
function Words(/** @type {{ words: string[] }} */ { words: [long, short] }) {
  if (!short || short === long) return long;
  return html`<span class="strip-long">${long}</span><span class="strip-short">${short}</span>`;
}

const flow = () => ({ view: Object.hasOwn(VIEWS, "flow") ? "flow" : "projects" });

/** Return the parts in their order: name, words, meaning and target. */
/** @returns {[name: string, words: string[], meaning: string, to: RouteChanges][]} */
const partsOf = (/** @type {Fleet} */ fleet) => [
  ["working", [`${count(fleet.working)} working`], "Agents that hold a task", { view: "agents", agent: null }],
  ["silent", fleet.silent ? [`${count(fleet.silent)} silent`] : [],
    "Agents that hold a task and were not seen recently", { view: "agents", agent: null }],
  ["idle", [`${count(fleet.idle)} idle`], "Agents without a task that were seen in the last two minutes",
    { view: "agents", agent: null }],
  ["ready", [`${count(fleet.ready)} ready`], "Tasks that an agent can claim now", { view: "board", ready: "ready" }],
  ["waiting", waitingWords(fleet), "Work that waits for your decision, and the tasks that wait for it",
    { view: "needs" }],
  ["pace", [`${count(fleet.done)}/h`], "Tasks done in the last hour", flow()],
];

function Part(/** @type {{ name: string, to: RouteChanges, title?: string, children?: any }} */ props) {
  const { name, to, title, children } = props;
  const changes = { ...NOWHERE, ...to };
  return html`<a class=${`strip-part ${name}`} href=${hrefOf(changes)} title=${title} data-testid=${`strip-${name}`}
      onClick=${(event) => follow(event, changes)}>${children}</a>`;
}

/** The line. A stale page does not count, because the present work is unknown. */
export function StateStrip() {
  useThrottled(revisionOf, 1000);
  useNow(10);
  useStore((now) => now.route);
  const loaded = useStore((now) => now.loaded);
  const { status, staleSince } = useStore((now) => now.connection);
  if (!loaded) return null;
  if (status === "stale") {
    return html`<div class="strip unknown" data-testid="strip">
      <${Icon} name="offline" />State of the agents unknown since ${hourAndMinute(staleSince ?? 0)}
    </div>`;
  }
  const fleet = fleetOf(state, serverNow());
  const starved = isStarved(fleet);
  return html`<div class=${cx("strip", starved && "starved")} role="group" aria-label="State of the agents"
      data-testid="strip">
    ${partsOf(fleet).filter(([, words]) => words.length).map(([name, words, meaning, to]) => html`<${Part} key=${name}
        name=${name} to=${to} title=${meaning}><${Words} words=${words} /><//>`)}
    ${starved && html`<${Part} name="advice" to=${{ view: "needs" }}>
      <${Icon} name="warn" /><${Words} words=${advice(fleet)} />
    <//>`}
  </div>`;
}
