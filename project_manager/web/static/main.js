// Entry point of the page.
import { html, render } from "./core/html.js";
import { start } from "./core/live.js";
import { startRouting } from "./core/route.js";
import { readSession } from "./core/session.js";
import { watchLeases, watchSearch } from "./core/sync.js";
import { applyTheme } from "./core/theme.js";
import { startSendKey } from "./forms/send_key.js";
import { App } from "./views/app.js";
import { startKeys } from "./views/keys.js";

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
applyTheme();
startRouting();
render(html`<${App} version=${root.dataset.version} />`, root);
startKeys();
startSendKey();
watchLeases();
watchSearch();
readSession().then((known) => void (known && start()));
