// The import of a plan: choose a file, read the difference, import.
import { plural } from "../../core/format.js";
import { html, useEffect, useRef, useState } from "../../core/html.js";
import { closeDialog } from "../../state/dialogs.js";
import { MAX_BYTES, noChanges, sendImport } from "../../state/plans.js";
import { follow, hrefOf } from "../../state/route.js";
import { state, useStore } from "../../state/store.js";
import { Dialog } from "../../ui/dialog.js";
import { Icon } from "../../ui/icons.js";
import { Changes, Counts } from "./import_changes.js";
import { PlanErrors } from "./import_errors.js";

const TYPES = ".yaml,.yml,.json";
const LINKS = 5;
const OUTDATED = "preview_outdated";

const TOO_LARGE = {
  message: "The file is larger than 64 MiB.",
  hint: "Split it, such as into one file for each project.",
  details: {},
};
const UNREADABLE = { message: "The file cannot be read.", hint: "Choose it again.", details: {} };

/** @type {ImportState} */
const BEGIN = { step: "choose", options: { status: "keep", prune: false } };

const countsOf = (/** @type {ImportResult} */ { created, changed, unchanged, deleted }) =>
  ({ ...noChanges(), created, changed, unchanged, deleted });

/** Read a file as bytes. The import sends the same bytes as the dry run, also if the file changes on the disk. */
async function bytesOf(/** @type {File} */ file) {
  if (file.size > MAX_BYTES) throw Object.assign(new Error(), TOO_LARGE, { status: 413 });
  try {
    return await file.arrayBuffer();
  } catch {
    throw Object.assign(new Error(), UNREADABLE, { status: 0 });
  }
}

/** Return the state of an import and its steps. A step that a newer one has replaced changes nothing. */
function useImport(/** @type {File | null} */ first) {
  const [now, setNow] = useState(BEGIN);
  const turn = useRef(0);
  const set = (/** @type {Partial<ImportState>} */ part) => setNow((old) => ({ ...old, ...part }));
  const send = async (/** @type {ImportState} */ from, expected = "") => {
    turn.current += 1;
    const mine = turn.current;
    const isMine = () => mine === turn.current;
    set({ ...from, step: expected ? "importing" : "checking", share: 0, error: null });
    try {
      const bytes = from.bytes ?? await bytesOf(/** @type {File} */ (from.file));
      const progress = (/** @type {number} */ share) => isMine() && set({ share });
      const view = await sendImport({ name: from.file?.name ?? "plan", bytes, ...from.options, expected, progress });
      if (isMine()) set({ bytes, view, step: expected ? "done" : "preview" });
    } catch (error) {
      if (error.status === undefined) throw error;
      if (!isMine()) return;
      if (error.code === OUTDATED) await send({ ...from, outdated: true });
      else set({ bytes: from.bytes, error, step: "failed" });
    }
  };
  const choose = async (/** @type {File | undefined | null} */ file) => {
    if (!file) return;
    const from = { ...now, file, view: null, outdated: false, bytes: undefined };
    try {
      await send({ ...from, bytes: await bytesOf(file) });
    } catch (error) {
      if (error.status === undefined) throw error;
      set({ ...from, error, step: "failed" });
    }
  };
  useEffect(() => void choose(first), []);
  return {
    now,
    choose,
    change: (/** @type {Partial<ImportOptions>} */ part) =>
      send({ ...now, outdated: false, options: { ...now.options, ...part } }),
    confirm: () => send({ ...now, outdated: false }, now.view?.digest),
  };
}

function Choose(/** @type {{ onFile: (file?: File) => void, again: boolean }} */ { onFile, again }) {
  const [over, setOver] = useState(false);
  const input = useRef(null);
  const on = (/** @type {boolean} */ is) => (/** @type {UiEvent} */ event) => {
    event.preventDefault();
    setOver(is);
  };
  const onDrop = (/** @type {UiEvent} */ event) => {
    event.preventDefault();
    event.stopPropagation();
    setOver(false);
    onFile(event.dataTransfer.files[0]);
  };
  return html`<div class=${over ? "drop-area over" : "drop-area"} onDragOver=${on(true)} onDragLeave=${on(false)}
      onDrop=${onDrop}>
    <input type="file" class="sr" ref=${input} accept=${TYPES} tabindex="-1" aria-label="Plan file"
        onChange=${(/** @type {UiEvent} */ event) => onFile(event.target.files[0])} data-testid="plan-file" />
    <button type="button" class=${again ? "" : "primary"} onClick=${() => input.current.click()} autofocus=${!again}>
      <${Icon} name="import" />
      ${again ? "Choose another file" : "Choose a file"}
    </button>
    <p class="muted">or drop it here: a plan in YAML or JSON.</p>
  </div>`;
}

function Working(/** @type {PaneProps} */ { now }) {
  const sent = (now.share ?? 0) >= 1;
  const words = !sent ? "Sending the file" : now.step === "importing" ? "Writing the plan" : "Comparing the plan";
  return html`<div class="working" role="status" data-testid="import-progress">
    <p>${words}…</p>
    <progress aria-label=${words} max="1" value=${sent ? undefined : now.share}></progress>
  </div>`;
}

const Check = (/** @type {{ text: string, checked: boolean, onChange: () => void }} */ { text, checked, onChange }) =>
  html`<label class="check"><input type="checkbox" checked=${checked} onChange=${onChange} />${text}</label>`;

function Options(/** @type {{ options: ImportOptions, onChange: (part: Partial<ImportOptions>) => void }} */ props) {
  const { options: { status, prune }, onChange } = props;
  const overwrites = status === "overwrite";
  return html`<fieldset class="import-options">
    <legend class="sr">Options</legend>
    <${Check} text="Also set the statuses of existing tasks" checked=${overwrites}
        onChange=${() => onChange({ status: overwrites ? "keep" : "overwrite" })} />
    <${Check} text="Delete epics and tasks that the plan omits" checked=${prune}
        onChange=${() => onChange({ prune: !prune })} />
  </fieldset>`;
}

/** The projects of the import, as links to their boards. */
function Links(/** @type {{ view: ImportResult, close: () => void }} */ { view, close }) {
  useStore((now) => now.revision.plans);
  const names = new Set(view.changes.map(({ project }) => project));
  const projects = [...state.projects.values()].filter(({ name }) => names.has(name));
  return html`<ul class="import-links">
    ${projects.slice(0, LINKS).map(({ id, name }) => {
      const changes = { view: "board", project: id, epic: null };
      return html`<li key=${id}><a href=${hrefOf(changes)} onClick=${(/** @type {MouseEvent} */ event) => {
        close();
        follow(event, changes);
      }}>Open <bdi>${name}</bdi></a></li>`;
    })}
    ${names.size > LINKS && html`<li><a href=${hrefOf({ view: "projects" })}>All projects</a></li>`}
  </ul>`;
}

function PreviewPane(/** @type {PaneProps} */ { now: { view, outdated, options }, change }) {
  if (!view) return null;
  return html`
    ${outdated && html`<p class="notice" role="alert" data-testid="import-outdated">
      <${Icon} name="warn" />The projects changed in the meantime. Nothing was imported. This is the difference now.
    </p>`}
    <p role="status" data-testid="import-summary"><${Counts} counts=${countsOf(view)} /></p>
    <${Changes} key=${view.digest} view=${view} />
    <${Options} options=${options} onChange=${change} />`;
}

function DonePane(/** @type {PaneProps} */ { now: { view }, close }) {
  if (!view) return null;
  return html`<p role="status" class="import-done" data-testid="import-done">
    <${Icon} name="check" />Imported: <${Counts} counts=${countsOf(view)} />
  </p><${Links} view=${view} close=${close} />`;
}

function FailedPane(/** @type {PaneProps} */ { now: { error, bytes }, choose }) {
  return html`${error && html`<${PlanErrors} error=${error} bytes=${bytes ?? null} />`}
    <${Choose} onFile=${choose} again />`;
}

/** @type {Record<ImportState["step"], (props: PaneProps) => any>} */
const PANES = {
  choose: ({ choose }) => html`<${Choose} onFile=${choose} again=${false} />`,
  checking: Working,
  importing: Working,
  preview: PreviewPane,
  failed: FailedPane,
  done: DonePane,
};

export function ImportDialog(/** @type {{ id: number, file: File | null }} */ { id, file }) {
  const flow = useImport(file);
  const { now } = flow;
  const { step, view } = now;
  const close = () => closeDialog(id);
  const total = view ? view.created + view.changed + view.deleted : 0;
  return html`<${Dialog} id=${id} title="Import a plan" wide>
    <div class="dialog-body import-body">
      ${now.file && html`<p class="import-file"><${Icon} name="log" /><bdi>${now.file.name}</bdi></p>`}
      <${PANES[step]} ...${flow} close=${close} />
    </div>
    <footer class="dialog-foot">
      <button type="button" onClick=${close}>${step === "done" ? "Close" : "Cancel"}</button>
      ${step === "preview" && html`<button type="button" class="primary" disabled=${total === 0} onClick=${flow.confirm}
          data-testid="import-confirm">
        ${total ? `Import ${plural(total, "change")}` : "Nothing to import"}
      </button>`}
    </footer>
  <//>`;
}
