// Entry point of the page.
import { html, render } from "./core/html.js";
import { watchAgents } from "./state/agents.js";
import { startNotices } from "./state/desktop_notices.js";
import { start } from "./state/live.js";
import { startRouting } from "./state/route.js";
import { readSession } from "./state/session.js";
import { watchLeases, watchSearch } from "./state/sync.js";
import { applyTheme } from "./state/theme.js";
import { startSendKey } from "./forms/send_key.js";
import { startKeys } from "./views/commands/keys.js";
import { App } from "./views/page/app.js";
import { VIEWS } from "./views/views.js";

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
applyTheme();
startRouting(VIEWS);
render(html`<${App} version=${root.dataset.version} />`, root);
startKeys();
startSendKey();
watchAgents();
watchLeases();
watchSearch();
startNotices();
readSession().then((known) => void (known && start()));
