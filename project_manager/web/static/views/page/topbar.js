// The bar at the top: project, views, active agents, commands and connection.
import { bidiIsolate, count } from "../../core/format.js";
import { html, useEffect, useRef, useState } from "../../core/html.js";
import { canWrite } from "../../core/vocabulary.js";
import { tasksByHolder } from "../../state/agents.js";
import { openDialog } from "../../state/dialogs.js";
import { projectOptions } from "../../state/options.js";
import { follow, hrefOf, navigate } from "../../state/route.js";
import { signOut } from "../../state/session.js";
import { state, useStore, useThrottled } from "../../state/store.js";
import { cycleTheme, onTheme, theme, themeName } from "../../state/theme.js";
import { Avatar } from "../../ui/chips.js";
import { childrenFit, useFit } from "../../ui/fit.js";
import { Icon } from "../../ui/icons.js";
import { needsCount } from "../needs/groups.js";
import { VIEWS } from "../views.js";
import { Connection } from "./connection.js";
import { MoreMenu } from "./more_menu.js";

const MAX_AVATARS = 5;

export function Logo() {
  return html`<svg class="logo" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
    <rect class="logo-back" width="24" height="24" rx="6" />
    <path class="logo-line" d="M6 7.5h7M6 12h5M6 16.5h4" />
    <circle class="logo-ring" cx="15.5" cy="14" r="4" />
    <path class="logo-line" d="M13.8 14l1.2 1.2 2.2-2.4" />
  </svg>`;
}

function ProjectChoice() {
  useStore((now) => now.revision.plans);
  const project = useStore((now) => now.route.project);
  const missing = project && !state.projects.has(project);
  return html`<label class="choice project-choice">
    <span class="sr">Project</span>
    <select value=${project ?? ""} data-testid="filter-project"
        onChange=${(event) => navigate({ project: event.target.value || null, epic: null })}>
      <option value="">All projects</option>
      ${projectOptions().map(([id, name]) => html`<option key=${id} value=${id}>${name}</option>`)}
      ${missing && html`<option value=${project}>Unknown project</option>`}
    </select>
  </label>`;
}

function Nav() {
  const view = useStore((now) => now.route.view);
  useStore((now) => now.route);
  const needs = useThrottled(needsCount, 400);
  const bar = useRef(null);
  // On a phone with large text, not all views fit into the bar, and it scrolls.
  useEffect(() => {
    bar.current.querySelector('[aria-current="page"]')?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [view, needs]);
  return html`<nav class="nav" aria-label="Views" ref=${bar}>
    ${Object.entries(VIEWS).map(([name, { title, tab = title, icon }]) => html`<a key=${name}
        href=${hrefOf({ view: name, around: null, agent: null, task: null })}
        title=${tab} aria-current=${view === name ? "page" : undefined} data-testid=${`nav-${name}`}
        onClick=${(event) => follow(event, { view: name, around: null, agent: null })}>
      <${Icon} name=${icon} />
      <span>${tab}</span>
      ${name === "needs" && needs > 0 && html`<span class="badge">${count(needs)}</span>`}
    </a>`)}
  </nav>`;
}

const revisionOfTasks = (/** @type {State} */ now) => now.revision.tasks;

/** The agents that hold a task. A press filters by that agent. */
function ActiveAgents() {
  useThrottled(revisionOfTasks, 500);
  const holder = useStore((now) => now.route.holder);
  const held = [...tasksByHolder(state)].sort((a, b) => b[1].length - a[1].length || (a[0] < b[0] ? -1 : 1));
  if (held.length === 0) return null;
  const more = held.length - MAX_AVATARS;
  return html`<div class="active-agents" role="group" aria-label="Agents at work" data-testid="active-agents">
    ${held.slice(0, MAX_AVATARS).map(([id, tasks]) => html`<button key=${id} type="button" class="avatar-button"
        aria-pressed=${holder === id}
        title=${`${bidiIsolate(id)} holds ${tasks.map((task) => `#${task.id}`).join(", ")}`}
        aria-label=${`${id}, ${tasks.length} held`}
        onClick=${() => navigate({ view: "board", holder: holder === id ? null : id })}>
      <${Avatar} id=${id} />
    </button>`)}
    ${more > 0 && html`<button type="button" class="avatar-button more" aria-label=${`${more} more agents at work`}
        onClick=${() => navigate({ view: "agents", agent: null })}>+${more}</button>`}
  </div>`;
}

/** @type {Record<string, string>} */
const ICONS = { auto: "auto", light: "sun", dark: "moon" };

function ThemeButton() {
  const [, again] = useState(0);
  useEffect(() => onTheme(() => again((number) => number + 1)), []);
  const icon = ICONS[theme()];
  return html`<button type="button" class="quiet icon-button theme-button" aria-label=${`Theme: ${themeName()}. Change`}
      title=${`Theme: ${themeName()}`} onClick=${cycleTheme} data-testid="theme"><${Icon} name=${icon} /></button>`;
}

function Account() {
  const session = useStore((now) => now.session);
  if (!session?.auth_required || !session.actor) return null;
  return html`<span class="account" title=${`${bidiIsolate(session.actor.id)}, ${session.actor.role}`}>
    <${Avatar} id=${session.actor.id} kind=${session.actor.kind} />
    <button type="button" class="quiet icon-button" aria-label="Sign out" title="Sign out" onClick=${signOut}>
      <${Icon} name="out" />
    </button>
  </span>`;
}

/** Values of `data-fit`, from the widest bar to the narrowest. Each word names a part that shell.css hides. */
const STEPS = [
  "", "no-words", "no-words icons", "no-words no-keys icons", "folded no-words no-keys",
  "folded no-words no-keys icons", "folded no-words no-keys icons small",
];
const fits = (/** @type {HTMLElement} */ bar) =>
  childrenFit(bar, bar.dataset.fit?.includes("folded") ? ":not(.nav, .push)" : ":not(.push)");

export function TopBar() {
  const bar = useRef(null);
  useFit(bar, STEPS, fits);
  const writer = useStore((now) => canWrite(now.session));
  const loaded = useStore((now) => now.loaded);
  return html`<header class="topbar" ref=${bar}>
    <a class="home" href="/" aria-label="Project Manager, board"
        onClick=${(event) => follow(event, { view: "board", task: null })}><${Logo} /></a>
    <${ProjectChoice} />
    <${Nav} />
    <span class="push"></span>
    <${ActiveAgents} />
    <button type="button" class="palette-button" onClick=${() => openDialog("palette", {})} aria-label="Command palette"
        data-testid="open-palette">
      <${Icon} name="search" />
      <span class="palette-words">Search or do…</span>
      <kbd aria-hidden="true">Ctrl K</kbd>
    </button>
    ${writer && html`<button type="button" class="primary new-task" disabled=${!loaded}
        onClick=${() => openDialog("task", {})} aria-label="New task" data-testid="new-task">
      <${Icon} name="plus" />
      <span>New task</span>
    </button>`}
    <${Connection} />
    <${ThemeButton} />
    <button type="button" class="quiet icon-button help-button" aria-label="Keyboard shortcuts"
        title="Keyboard shortcuts (?)" onClick=${() => openDialog("help", {})}><${Icon} name="help" /></button>
    <${Account} />
    <${MoreMenu} />
  </header>`;
}
