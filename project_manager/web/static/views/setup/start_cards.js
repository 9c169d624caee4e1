// The first steps on an empty board.
import { html, useState } from "../../core/html.js";
import { canWrite, isOperator } from "../../core/vocabulary.js";
import { startDemo } from "../../state/demo.js";
import { openDialog } from "../../state/dialogs.js";
import { openImport } from "../../state/plans.js";
import { useStore } from "../../state/store.js";
import { Empty } from "../../ui/chips.js";
import { Icon } from "../../ui/icons.js";

function Card(/** @type {StartCardProps} */ { icon, title, text, action, onClick, testid, primary, busy = false }) {
  return html`<li class="start-card">
    <h2><${Icon} name=${icon} />${title}</h2>
    <p>${text}</p>
    <button type="button" class=${primary ? "primary" : ""} disabled=${busy} onClick=${onClick} data-testid=${testid}>
      ${action}
    </button>
  </li>`;
}

export function StartCards() {
  const session = useStore((now) => now.session);
  const [busy, setBusy] = useState(false);
  const operator = isOperator(session);
  if (!canWrite(session)) {
    return html`<${Empty} title="No tasks yet"><p>Tasks appear here when they are created.</p><//>`;
  }
  const onDemo = async () => {
    setBusy(true);
    await startDemo();
    setBusy(false);
  };
  return html`<section class="start" aria-labelledby="start-title">
    <p class="empty-title" id="start-title">No tasks yet</p>
    <ul class="start-cards">
      ${operator && html`<${Card} icon="play" title="Try the demo" primary action="Start the demo" busy=${busy}
          onClick=${onDemo} testid="start-demo"
          text="Six scripted agents work on a project of their own for five minutes. One asks, and one fails." />`}
      ${operator && html`<${Card} icon="import" title="Import a plan" action="Choose a file"
          onClick=${() => openImport()} testid="import"
          text="Projects, epics and tasks in YAML or JSON. You see the difference before anything is written." />`}
      <${Card} icon="plug" title="Connect an agent" action="Show the command"
          onClick=${() => openDialog("connect", {})} testid="connect-agent"
          text="Claude Code, Codex, Gemini CLI, Cursor, VS Code, or any program over REST." />
    </ul>
    <p class="muted">Or create the first task yourself:
      <button type="button" class="small" onClick=${() => openDialog("task", {})}>New task</button>
    </p>
  </section>`;
}
