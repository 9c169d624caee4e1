// What waits for a person.
import { moveTask, retryTask } from "../core/actions.js";
import { serverNow } from "../core/clock.js";
import { isPast } from "../core/due.js";
import { testOf } from "../core/filters.js";
import { html } from "../core/html.js";
import { follow, hrefOf } from "../core/route.js";
import { state, useStore } from "../core/store.js";
import { CLOSED, canWrite, isHeldByNobody } from "../core/words.js";
import { Attempts } from "../ui/attempts.js";
import { Ago, Empty, LockChip, Priority } from "../ui/chips.js";
import { Icon, StatusIcon } from "../ui/icons.js";
import { LastWord } from "./last_word.js";

const move = (status, name, primary = false) => ({ name, primary, act: (task) => moveTask(task, status) });
const OFFER = { name: "Offer again", primary: true, act: retryTask };

const GROUPS = [
  {
    id: "attempts", title: "Failed too often", explain: "Blocked because its attempts are used up. Read the log, help, then offer it again.",
    from: "BLOCKED", test: (task) => task.attempts > 0, actions: [OFFER, move("CANCELLED", "Cancel")],
  },
  {
    id: "review", title: "Review", explain: "Finished by an agent, waiting for a person to accept it.",
    from: "REVIEW", test: () => true, actions: [move("DONE", "Accept", true), move("TODO", "Send back")],
  },
  {
    id: "blocked", title: "Blocked", explain: "An agent or a person said that this cannot go on by itself.",
    from: "BLOCKED", test: (task) => task.attempts === 0, actions: [move("TODO", "Unblock", true), move("CANCELLED", "Cancel")],
  },
  {
    id: "lost", title: "Lost leases", explain: "An agent went silent or gave up; the task is offered again. Look here if the same task comes back.",
    from: "TODO", test: (task) => task.attempts > 0, actions: [{ ...OFFER, name: "Forget attempts", primary: false }, move("BLOCKED", "Hold back")],
  },
  {
    id: "nobody", title: "In progress, held by nobody", explain: "Set in progress without a lease: no agent will pick it up by itself.",
    from: "IN_PROGRESS", test: isHeldByNobody, actions: [move("TODO", "Offer to agents", true), move("DONE", "Mark done")],
  },
  {
    id: "overdue", title: "Overdue", explain: "Past its due date and not done.",
    from: null, test: (task) => task.due_at && !CLOSED.has(task.status) && isPast(task.due_at, serverNow()), actions: [],
  },
];

/** [{group, tasks}] of what waits in the chosen project. A task stands in the first group that fits. */
export function needsOf(now) {
  const inProject = testOf({ project: now.route.project }) ?? (() => true);
  const placed = new Set();
  return GROUPS.map((group) => {
    const pool = group.from ? now.columns[group.from] : [...now.tasks.values()];
    const tasks = pool.filter((task) => !placed.has(task.id) && inProject(task) && group.test(task));
    for (const task of tasks) placed.add(task.id);
    return { group, tasks };
  }).filter(({ tasks }) => tasks.length);
}

let memory = { key: "", count: 0 };

/** For the badge: as many as the page lists. */
export function needsCount(now) {
  const key = `${now.revision.tasks}:${now.revision.plans}:${now.route.project}`;
  if (memory.key !== key) {
    const count = needsOf(now).reduce((sum, { tasks }) => sum + tasks.length, 0);
    memory = { key, count };
  }
  return memory.count;
}

const WORDS_SHOWN = 12;

function Need({ task, actions, writer, words }) {
  const open = { task: task.id };
  return html`<li class="need" data-testid="need">
    <a class="need-name" href=${hrefOf(open)} data-task=${task.id} onClick=${(event) => follow(event, open)}><${StatusIcon} status=${task.status} /><span class="key">#${task.id}</span><span class="clip">${task.name}</span></a>
    <span class="need-facts"><${Priority} value=${task.priority} /><${Attempts} task=${task} />${task.lock ? html`<${LockChip} lock=${task.lock} bar=${false} />` : null}<span class="muted"><${Ago} at=${task.updated_at} /></span></span>
    ${writer && html`<span class="need-actions">${actions.map(({ name, primary, act }) => html`<button key=${name} type="button" class=${primary ? "small primary" : "small"} aria-label=${`${name}: #${task.id} ${task.name}`} onClick=${() => act(task)}>${name}</button>`)}</span>`}
    ${words && html`<${LastWord} task=${task} />`}
  </li>`;
}

const SHOWN = 50;

export function Needs() {
  useStore((now) => now.revision.tasks);
  useStore((now) => now.route.project);
  const writer = useStore((now) => canWrite(now.session));
  const found = needsOf(state);
  return html`<section class="page" aria-labelledby="page-title">
    <div class="page-head"><h1 id="page-title">Needs you</h1></div>
    ${found.length === 0 && html`<${Empty} title="Nothing waits for you"><p><${Icon} name="check" /> Reviews, blocked tasks and lost leases will appear here.</p><//>`}
    ${found.map(({ group, tasks }) => html`<section key=${group.id} class="need-group" aria-labelledby=${`need-${group.id}`} data-testid=${`need-${group.id}`}>
      <h2 id=${`need-${group.id}`}>${group.title}<span class="count">${tasks.length}</span></h2><p class="muted">${group.explain}</p>
      <ul class="needs">${tasks.slice(0, SHOWN).map((task, index) => html`<${Need} key=${task.id} words=${index < WORDS_SHOWN} task=${task} actions=${group.actions} writer=${writer} />`)}</ul>
      ${tasks.length > SHOWN && html`<p class="muted">and ${tasks.length - SHOWN} more</p>`}
    </section>`)}
  </section>`;
}
