// The keyboard help ("?").
import { html, useState } from "../../core/html.js";
import { loadSetting, saveSetting } from "../../core/local_storage.js";
import { state } from "../../state/store.js";
import { Dialog } from "../../ui/dialog.js";
import { COMMANDS } from "./commands.js";

const GROUPS = ["Everywhere", "Go to", "Board", "Needs you and task", "Task"];
/** @type {Record<string, string>} */
const SIGNS = { ArrowRight: "→", ArrowLeft: "←", ArrowDown: "↓", ArrowUp: "↑" };

const keyCaps = (/** @type {string} */ keys) =>
  keys.split(" ").map((key) => html`<kbd key=${key}>
    ${SIGNS[key] ?? (key.length === 1 ? key.toUpperCase() : key)}
  </kbd>`);

function Keys(/** @type {{ command: Command }} */ { command }) {
  const also = !command.caps && command.also?.map((key) => [" or ", keyCaps(key)]);
  return html`<span class="caps">${keyCaps(command.caps ?? command.keys ?? "")}${also}</span>`;
}

export function Help(/** @type {{ id: number }} */ { id }) {
  const [letters, setLetters] = useState(loadSetting("letters", true));
  const toggle = (/** @type {UiEvent} */ event) => {
    saveSetting("letters", event.target.checked);
    setLetters(event.target.checked);
  };
  return html`<${Dialog} id=${id} title="Keyboard shortcuts" wide>
    <div class="dialog-body help" tabindex="0" data-testid="help">
      ${GROUPS.map((group) => html`<section key=${group}>
        <h3>${group}</h3>
        <dl>
          ${COMMANDS.filter((command) => command.group === group).map((command) => html`<div key=${command.id}>
            <dt>${command.name}</dt>
            <dd><${Keys} command=${command} /></dd>
          </div>`)}
        </dl>
      </section>`)}
      <label class="check">
        <input type="checkbox" checked=${letters} onChange=${toggle} />
        Single-letter shortcuts
      </label>
      <p class="muted">
        Project Manager ${state.serverVersion ?? ""} · <a class="underlined" href="/docs">API reference</a>
      </p>
    </div><//>`;
}
