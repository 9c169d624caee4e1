// The connection status.
import { everySecond } from "../../core/clock.js";
import { count, hourAndMinute } from "../../core/format.js";
import { html, useEffect, useState } from "../../core/html.js";
import { retryNow } from "../../state/live.js";
import { useStore } from "../../state/store.js";
import { Icon } from "../../ui/icons.js";

function secondsTo(/** @type {number} */ retryAt) {
  return Math.max(0, Math.ceil((retryAt - performance.now()) / 1000));
}

/** Return the seconds until the next attempt, updated every second. */
function useWait(/** @type {number | null} */ retryAt) {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    if (retryAt === null) return undefined;
    setLeft(secondsTo(retryAt));
    return everySecond(() => setLeft(secondsTo(retryAt)));
  }, [retryAt]);
  return left;
}

function wordsOf(/** @type {Connection} */ connection, /** @type {number} */ left) {
  const again = left > 0 ? `in ${left} s` : "now";
  return {
    connecting: "Connecting",
    live: "Live",
    "catching-up": connection.behind ? `Catching up, ${count(connection.behind)} to go` : "Catching up",
    reconnecting: `Reconnecting ${again}`,
    stale: `Stale since ${hourAndMinute(connection.staleSince ?? 0)}`,
  }[connection.status];
}

/** @type {Partial<Record<Connection["status"], string>>} */
const ANNOUNCED = { live: "Connected", reconnecting: "Connection lost", stale: "The page is stale" };

export function Connection() {
  const connection = useStore((state) => state.connection);
  const left = useWait(connection.retryAt);
  const down = connection.status === "reconnecting" || connection.status === "stale";
  const title = [connection.reason, down && `Next attempt in ${left} s. Press to try now.`].filter(Boolean).join(" ");
  const body = html`<span class="connection-dot" aria-hidden="true"></span>
    <span class="connection-words">${wordsOf(connection, left)}</span>`;
  return html`<div class="connection-wrap">
    ${down
      ? html`<button type="button" class=${`connection ${connection.status}`} title=${title} onClick=${retryNow}
          data-testid="connection" data-status=${connection.status}>
        ${body}
        <${Icon} name="refresh" label="Try now" />
      </button>`
      : html`<span class=${`connection ${connection.status}`} title="Changes appear as they happen"
          data-testid="connection" data-status=${connection.status}>${body}</span>`}
    <span class="sr" role="status">${ANNOUNCED[connection.status] ?? ""}</span></div>`;
}

/** The banner of a stale page. */
export function StaleBanner() {
  const connection = useStore((state) => state.connection);
  const left = useWait(connection.retryAt);
  if (connection.status !== "stale") return null;
  return html`<div class="banner warn" data-testid="stale">
    <${Icon} name="offline" />
    <span>
      Data as of <b>${hourAndMinute(connection.staleSince ?? 0)}</b>
      . ${connection.reason || "The server does not respond."} Next attempt ${left > 0 ? `in ${left} s` : "now"}.
    </span>
    <button type="button" class="small" onClick=${retryNow}>Try now</button>
  </div>`;
}

/** The banner for a new server version, which has a new dashboard. */
export function UpdateBanner(/** @type {{ version: string }} */ { version }) {
  const server = useStore((state) => state.serverVersion);
  if (!server || !version || server === version) return null;
  return html`<div class="banner" data-testid="update">
    <${Icon} name="refresh" />
    <span>The server was updated to ${server}.</span>
    <button type="button" class="small" onClick=${() => location.reload()}>Reload the page</button>
  </div>`;
}
