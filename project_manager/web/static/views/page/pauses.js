// Pauses: the banner of every view, the form that starts one, and the button of a target.
import { html } from "../../core/html.js";
import { LIMITS } from "../../core/limits.js";
import { isOperator } from "../../core/vocabulary.js";
import { closeDialog, openDialog } from "../../state/dialogs.js";
import { endPause, pauseOf, startPause, targetOf } from "../../state/pauses.js";
import { useStore } from "../../state/store.js";
import { recordAct, recordFinal } from "../../state/undo.js";
import { Field, FormError, FormFoot, useForm } from "../../forms/field.js";
import { RelativeTime } from "../../ui/chips.js";
import { Dialog } from "../../ui/dialog.js";
import { Icon } from "../../ui/icons.js";

/** Start a pause that undo ends. Throw ApiError. */
async function begin(/** @type {PauseTarget} */ target, /** @type {string} */ reason) {
  const started = await startPause(target, reason);
  // An undone resume has started another pause of the same target.
  const opposite = () => endPause(pauseOf(started.scope, idOf(started)) ?? started);
  recordAct({ name: `Paused: ${targetOf(started)}`, opposite });
}

const idOf = (/** @type {PauseView} */ pause) => pause.task_id ?? pause.agent_id ?? pause.project_id;

/** Resume. Undo starts the pause again, with the same reason. */
async function resume(/** @type {PauseView} */ ended) {
  if (!(await endPause(ended))) return;
  const name = `Resumed: ${targetOf(ended)}`;
  if (ended.stopped) {
    recordFinal(name, "A stop ends the lease of the agent, so it is not repeated.");
    return;
  }
  const target = ended.scope === "all" ? { scope: "all" } : { scope: ended.scope, id: idOf(ended) ?? undefined };
  recordAct({ name, opposite: () => startPause(target, ended.reason ?? "") });
}

const SHOWN = 3;
/** @type {Record<string, number>} */
const WIDTH = { all: 0, project: 1, agent: 2, task: 3 };

function PauseLine(/** @type {{ pause: PauseView, operator: boolean }} */ { pause, operator }) {
  return html`<div class="banner pause" data-testid="pause">
    <${Icon} name="pause" />
    <span>
      <b>${targetOf(pause)}</b> is ${pause.stopped ? "stopped" : "paused"} by <bdi>${pause.author}</bdi>${" "}
      <${RelativeTime} at=${pause.created_at} />${pause.reason && html`: <span dir="auto">${pause.reason}</span>`}
    </span>
    ${operator && html`<button type="button" class="small" onClick=${() => resume(pause)}
        aria-label=${`Resume: ${targetOf(pause)}`} data-testid="resume">Resume</button>`}
  </div>`;
}

/** The pauses, the widest first. */
export function PauseBanner() {
  const pauses = useStore((state) => state.pauses);
  const operator = useStore((state) => isOperator(state.session));
  useStore((state) => state.revision.plans);
  const sorted = [...pauses].sort((a, b) => WIDTH[a.scope] - WIDTH[b.scope] || a.id - b.id);
  return html`<div role="status">
    ${sorted.slice(0, SHOWN).map((pause) => html`<${PauseLine} key=${pause.id} pause=${pause} operator=${operator} />`)}
    ${sorted.length > SHOWN && html`<div class="banner pause">and ${sorted.length - SHOWN} more pauses</div>`}
  </div>`;
}

/** The dialog that asks for the reason. */
export function PauseForm(/** @type {{ id: number, target: PauseTarget, title: string }} */ { id, target, title }) {
  const { dirty, error, busy, field, submit } = useForm({ reason: "" });
  const onSubmit = submit(async ({ reason }) => {
    await begin(target, reason);
    closeDialog(id);
  });
  return html`<${Dialog} id=${id} title=${title} dirty=${dirty}>
    ${(/** @type {() => void} */ close) => html`<form onSubmit=${onSubmit}>
      <div class="dialog-body">
        <p>
          ${target.scope === "agent"
            ? "The agent finishes what it holds and claims nothing new until an operator ends the pause."
            : "Nothing new is claimed until an operator ends the pause. Present leases continue."}
        </p>
        <${Field} label="Reason" autofocus maxlength=${LIMITS.REASON_CHARACTERS} ...${field("reason")}
            hint="Optional. Agents and people see it." data-testid="pause-reason" />
        <${FormError} error=${error} shown=${["reason"]} />
      </div>
      <${FormFoot} onCancel=${close} busy=${busy} confirm="Pause" />
    </form>`}
  <//>`;
}

export const askPause = (/** @type {PauseTarget} */ target, /** @type {string} */ title) =>
  openDialog("pause", { target, title });

/** The button that pauses or resumes a project, a task or an agent. */
export function PauseButton(/** @type {PauseTarget & { name: string }} */ { scope, id, name }) {
  const operator = useStore((state) => isOperator(state.session));
  const present = useStore(() => pauseOf(scope, id));
  if (!operator) return null;
  const act = () => (present ? resume(present) : askPause({ scope, id }, `Pause ${name}`));
  return html`<button type="button" class="small" onClick=${act} data-testid=${`pause-${scope}`}
      aria-label=${`${present ? "Resume" : "Pause"} ${name}`}>
    <${Icon} name=${present ? "play" : "pause"} />
    ${present ? "Resume" : "Pause"}
  </button>`;
}
