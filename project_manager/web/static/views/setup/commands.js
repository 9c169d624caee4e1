// The commands that start the demo, connect an agent, import and export.
import { isOperator } from "../../core/vocabulary.js";
import { demoProject, startDemo, stopDemo } from "../../state/demo.js";
import { openDialog } from "../../state/dialogs.js";
import { download, openImport } from "../../state/plans.js";
import { state } from "../../state/store.js";

const shownName = () => state.projects.get(state.route.project ?? 0)?.name ?? "";

/** @type {Command[]} */
export const SETUP_COMMANDS = [
  {
    id: "demo", name: "Try the demo", icon: "play", fits: () => isOperator(state.session) && state.tasks.size === 0,
    run: startDemo,
  },
  {
    id: "stop-demo", name: "Stop and delete the demo", icon: "trash",
    fits: () => isOperator(state.session) && demoProject(),
    run: () => stopDemo(/** @type {Project} */ (demoProject())),
  },
  {
    id: "connect", name: "Connect an agent", icon: "plug", write: true, run: () => openDialog("connect", {}),
  },
  {
    id: "import", name: "Import a plan", icon: "import", fits: () => isOperator(state.session),
    run: () => openImport(),
  },
  {
    id: "export", name: "Export the project, or all, as YAML", icon: "export",
    run: () => download("yaml", shownName()),
  },
  {
    id: "export-json", name: "Export the project, or all, as JSON", icon: "export",
    run: () => download("json", shownName()),
  },
];
