// The page: bar, view, drawer, dialogs.
import { count, plural } from "../../core/format.js";
import { html, useEffect, useErrorBoundary } from "../../core/html.js";
import { retryNow } from "../../state/live.js";
import { useStore } from "../../state/store.js";
import { Confirm } from "../../ui/dialog.js";
import { loadParser } from "../../ui/markdown_parser.js";
import { Toasts } from "../../ui/toasts.js";
import { MoveCommentDialog } from "../../forms/move_comment.js";
import { EpicForm, ProjectForm } from "../../forms/plan_forms.js";
import { PolicyForm } from "../../forms/policy_form.js";
import { TaskForm } from "../../forms/task_form.js";
import { FilterBar } from "../board/filter_bar.js";
import { Help } from "../commands/help.js";
import { Palette } from "../commands/palette.js";
import { Drawer } from "../drawer/drawer.js";
import { EditManyDialog, RefusedDialog } from "../selection/dialogs.js";
import { SelectionBar } from "../selection/bar.js";
import { ConnectDialog } from "../setup/connect_dialog.js";
import { DemoBanner } from "../setup/demo_banner.js";
import { DropZone } from "../setup/drop_zone.js";
import { ImportDialog } from "../setup/import_dialog.js";
import { TableOrder } from "../table/table.js";
import { VIEWS } from "../views.js";
import { StaleBanner, UpdateBanner } from "./connection.js";
import { NotFound, notFoundIn } from "./not_found.js";
import { MessageForm } from "./messages.js";
import { NoticesForm } from "./notices.js";
import { PauseBanner, PauseForm } from "./pauses.js";
import { SignIn, SignInAgain } from "./signin.js";
import { StateStrip } from "./state_strip.js";
import { useTitle } from "./title.js";
import { TopBar } from "./topbar.js";

/** @type {Record<string, (props: any) => any>} */
const DIALOGS = {
  task: TaskForm,
  project: ProjectForm,
  epic: EpicForm,
  confirm: Confirm,
  palette: Palette,
  help: Help,
  moveComment: MoveCommentDialog,
  pause: PauseForm,
  policy: PolicyForm,
  message: MessageForm,
  notices: NoticesForm,
  editMany: EditManyDialog,
  refused: RefusedDialog,
  import: ImportDialog,
  connect: ConnectDialog,
};

function Dialogs() {
  const dialogs = useStore((state) => state.dialogs);
  return dialogs.map(({ id, kind, props }) => html`<${DIALOGS[kind]} key=${id} id=${id} ...${props} />`);
}

/** The progress of a board that loads in pages. */
function Progress(/** @type {{ read: number, total: number }} */ { read, total }) {
  return html`<div class="loading" data-testid="loading">
    <p role="status">This board is large and loads in parts.</p>
    <p>
      <progress aria-label="Tasks read" value=${read}
          max=${total}></progress> ${count(read)} of ${plural(total, "task")}
    </p>
  </div>`;
}

function Skeleton() {
  const loading = useStore((state) => state.loading);
  return html`${loading && html`<${Progress} ...${loading} />`}
    <div class="skeleton" role="status" aria-label="Loading the board">
      ${[
        5, 3, 4, 2, 1,
      ].map((cards, column) => html`<div key=${column} class="column">
        ${Array.from({ length: cards }, (_, card) => html`<div key=${card} class="bone"></div>`)}
      </div>`)}
    </div>`;
}

function Failure(/** @type {{ error: ApiFailure }} */ { error }) {
  return html`<div class="failure" role="alert" data-testid="failure">
    <h1>${error.message}</h1>
    <p>${error.hint}</p>
    <button type="button" class="primary" onClick=${() => location.reload()}>Try again</button>
  </div>`;
}

function View() {
  const loaded = useStore((state) => state.loaded);
  const failure = useStore((state) => state.failure);
  const view = useStore((state) => state.route.view);
  const { component, title, unfiltered, filterable } = VIEWS[view];
  const unknown = useStore(notFoundIn);
  if (!loaded) return failure ? html`<${Failure} error=${failure} />` : html`<${Skeleton} />`;
  if (unknown && !unfiltered) return html`<${NotFound} kind=${unknown} />`;
  return html`${filterable && html`<h1 class="sr">${title}</h1>
    <${FilterBar}>${view === "table" && html`<${TableOrder} />`}<//>`}<${component} />`;
}

/** Run `act` when the browser is idle. Safari has no idle callbacks. */
const whenIdle = (/** @type {() =>
  void} */ act) => ("requestIdleCallback" in window ? requestIdleCallback(act) : setTimeout(act, 1000));

export function App(/** @type {{ version: string }} */ { version }) {
  useTitle();
  const [crash, restart] = useErrorBoundary();
  const signIn = useStore((state) => state.signIn);
  const task = useStore((state) => state.route.task);
  const full = useStore((state) => Boolean(state.route.full));
  const loaded = useStore((state) => state.loaded);
  useEffect(() => {
    if (loaded) whenIdle(() => loadParser().catch(() => {}));
  }, [loaded]);
  if (crash) {
    return html`<div class="failure" role="alert" data-testid="crash">
      <h1>The dashboard has crashed</h1>
      <p class="muted">${String(crash.message)}</p>
      <button type="button" class="primary" onClick=${() => { restart(); retryNow(); }}>Reload view</button>
    </div>`;
  }
  if (signIn && !loaded) return html`<${SignIn} /><${Toasts} />`;
  return html`<div class="frame" hidden=${signIn}>
    <a class="skip" href=${task && full ? "#task" : "#main"}>Skip to the content</a>
    <${TopBar} />
    <${StateStrip} />
    <${UpdateBanner} version=${version} />
    <${StaleBanner} />
    <${PauseBanner} />
    <${DemoBanner} />
    <div class="stage">
      <main id="main" tabindex="-1"><${View} /><${SelectionBar} /></main>
      ${task && loaded && html`<${Drawer} key=${task} id=${task} />`}
    </div>
    <${Dialogs} />
    <${DropZone} />
  </div>${signIn && html`<${SignInAgain} />`}<${Toasts} />`;
}
