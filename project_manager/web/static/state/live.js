// The WebSocket connection. It resumes by event number after an interruption and reports how fresh the page is.
import { get, queryString } from "../core/api.js";
import { setServerTime } from "../core/clock.js";
import { PER_CALL } from "./pages.js";
import { dispatch, state } from "./store.js";
import { applyEvents, loadBoard, markDirty } from "./sync.js";
import { dismissOffline } from "./toasts.js";

const SILENCE_MS = 45_000;
const STALE_MS = 15_000;
const LONGEST_WAIT_MS = 20_000;
const ABSENT_WAIT_MS = 2000;
const RELOAD_PAUSE_MS = 3000;
const RESYNC_INTERVAL_MS = 60_000;

const POLL_SECONDS = 15;
const POLLS = 20;

/** @type {LiveConnection} */
const connection = {
  socket: null,
  helloReceived: false,
  failedHandshakes: 0,
  refreshPending: false,
  lastFrame: 0,
  failures: 0,
  timer: undefined,
  downSince: null,
  target: 0,
  needsReload: false,
  reloading: false,
  resyncs: 0,
  resyncedAt: -RESYNC_INTERVAL_MS,
  probing: false,
  polls: null,
};

const setStatus = (/** @type {Partial<Connection>} */ changes) => dispatch({ type: "connection", connection: changes });

/** Return the milliseconds until the next attempt. The delay grows longer if the server answers and refuses. */
function retryDelay(/** @type {number} */ failures, /** @type {boolean} */ refused) {
  const longest = Math.min(refused ? LONGEST_WAIT_MS : ABSENT_WAIT_MS, 500 * 2 ** failures);
  return refused ? longest / 2 + Math.random() * (longest / 2) : longest * (0.8 + Math.random() * 0.2);
}

/** Return whether a server answered in the format of the API. A proxy may answer in another one during a restart. */
const answered = (/** @type {ApiFailure} */ error) => error.status > 0 && error.code !== "unreadable_answer";

function address() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  return `${scheme}://${location.host}/ws/updates${queryString({ since: state.seq, epoch: state.epoch, batch: 1 })}`;
}

function showProgress() {
  const behind = Math.max(0, connection.target - state.seq);
  if (behind) setStatus({ status: "catching-up", behind });
  else {
    setStatus({ status: "live", behind: 0, staleSince: null, retryAt: null, reason: "" });
    dismissOffline();
  }
}

function resetFailures() {
  connection.failures = 0;
  connection.downSince = null;
}

/** Reload the board: the event number is older than the server's history, or of another history. */
async function reload() {
  connection.needsReload = true;
  if (connection.reloading) return;
  connection.reloading = true;
  if (connection.socket) setStatus({ status: "catching-up", behind: 0 });
  try {
    await loadBoard();
    connection.needsReload = false;
    resetFailures();
    reconnect();
  } catch (error) {
    disconnected("", { refused: answered(error) });
  } finally {
    connection.reloading = false;
  }
}

const OTHER_DATABASE = "Requests reach different databases. Contact the server administrator.";
const REPEATED_RESYNC = "The server repeatedly requests a resync.";

/** Reload because the server rejects the event number. Repeated resyncs back off. */
function resync(/** @type {string} */ reason) {
  connection.needsReload = true;
  if (connection.reloading) return undefined;
  const calm = performance.now() - connection.resyncedAt >= RESYNC_INTERVAL_MS;
  connection.resyncedAt = performance.now();
  connection.resyncs = calm ? 0 : connection.resyncs + 1;
  if (calm) return reload();
  connection.failures = Math.max(connection.failures, connection.resyncs);
  return disconnected(reason, { stale: true });
}

/** @type {Timer} */
let reloadTimer;
let reloadedAt = -RELOAD_PAUSE_MS;

/** Reload at once, but with a pause between reloads, for example after several imports. */
function reloadSoon() {
  const pause = Math.max(0, reloadedAt + RELOAD_PAUSE_MS - performance.now());
  reloadTimer ??= setTimeout(async () => {
    reloadTimer = undefined;
    reloadedAt = performance.now();
    await reload();
  }, pause);
}

function hello(/** @type {Record<string, any>} */ frame) {
  connection.helloReceived = true;
  connection.failedHandshakes = 0;
  setServerTime(frame.server_time);
  if (state.serverVersion !== frame.version) dispatch({ type: "version", version: frame.version });
  if (state.epoch !== frame.epoch) return resync(OTHER_DATABASE);
  resetFailures();
  connection.target = frame.seq;
  if (connection.refreshPending) markDirty(state.columns.IN_PROGRESS.map((task) => task.id).slice(0, PER_CALL));
  connection.refreshPending = false;
  return showProgress();
}

function receive(/** @type {Record<string, any>} */ frame) {
  if (frame.type === "hello") hello(frame);
  else if (frame.type === "resync") resync(REPEATED_RESYNC);
  else if (frame.type === "batch" || frame.seq) {
    if (applyEvents(frame.events ?? [frame])) reloadSoon();
    if (state.connection.status !== "live") showProgress();
  }
}

function drop() {
  const socket = connection.socket;
  connection.socket = null;
  connection.polls = null;
  if (socket) socket.close();
}

/** Schedule the next attempt. `stale`: the page is known to be wrong. `refused`: the server answered and refused. */
/** @param {string} reason @param {{ stale?: boolean, refused?: boolean }} options */
function disconnected(reason, { stale = false, refused = stale } = {}) {
  drop();
  clearTimeout(connection.timer);
  connection.downSince ??= Date.now();
  connection.refreshPending = true;
  const wait = retryDelay(connection.failures, refused);
  connection.failures += 1;
  const isStale = stale || Date.now() - connection.downSince >= STALE_MS;
  setStatus({
    status: isStale ? "stale" : "reconnecting",
    staleSince: connection.downSince,
    retryAt: performance.now() + wait,
    reason,
  });
  connection.timer = setTimeout(attempt, wait);
}

/** @type {Record<number, string>} */
const REASONS = {
  1013: "The server is busy, or at its limit of live connections.",
  1008: "The server did not accept the connection.",
};
const TRY_AGAIN_LATER = 1013;
const REFUSED = new Set([1008, 4401]);

/**
 * Handle a closed socket. A failed handshake has no reason, so one REST request finds out whether the server is
 * unreachable, the session has expired, or WebSockets are blocked.
 */
async function closed(/** @type {CloseEvent} */ event) {
  const helloReceived = connection.helloReceived;
  disconnected(REASONS[event.code] ?? "", { refused: event.code in REASONS || connection.failedHandshakes > 0 });
  if (event.code === TRY_AGAIN_LATER || (helloReceived && !REFUSED.has(event.code))) return;
  try {
    await get("/api/agents", { limit: 1 });
    connection.failedHandshakes += 1;
  } catch {
    connection.failedHandshakes = 0;
  }
}

function applyPoll(/** @type {Answer<"/api/events">} */ answer) {
  resetFailures();
  connection.target = answer.head;
  if (applyEvents(answer.items)) reloadSoon();
  showProgress();
}

/** Poll for events where proxies block WebSockets. After POLLS rounds, try the WebSocket again. */
async function poll() {
  drop();
  const polls = {};
  connection.polls = polls;
  try {
    for (let round = 0; round < POLLS; round += 1) {
      const since = state.seq;
      const answer = await get("/api/events", {
        since, epoch: state.epoch, limit: PER_CALL, wait_seconds: round ? POLL_SECONDS : 0,
      });
      if (connection.polls !== polls) return undefined;
      if (answer.resync || answer.epoch !== state.epoch) {
        return resync(answer.epoch === state.epoch ? REPEATED_RESYNC : OTHER_DATABASE);
      }
      // A board reloaded meanwhile may be older than the answer. Applying it would leave a gap.
      if (since <= state.seq) applyPoll(answer);
    }
    reconnect();
  } catch (error) {
    if (connection.polls === polls) disconnected("", { refused: answered(error) });
  }
  return undefined;
}

function open() {
  const socket = new WebSocket(address());
  connection.socket = socket;
  connection.helloReceived = false;
  connection.lastFrame = performance.now();
  socket.onmessage = (message) => {
    if (socket !== connection.socket) return;
    connection.lastFrame = performance.now();
    receive(JSON.parse(message.data));
  };
  socket.onclose = (event) => {
    if (socket === connection.socket) closed(event);
  };
}

function reconnect() {
  clearTimeout(connection.timer);
  drop();
  open();
}

/** Try to be live. Without a session the server would refuse: the sign-in starts the next attempt. */
async function attempt() {
  if (state.signIn) return undefined;
  if (connection.needsReload) return reload();
  if (state.loaded) return connection.failedHandshakes > 1 ? poll() : reconnect();
  try {
    await loadBoard();
    reconnect();
  } catch (error) {
    dispatch({ type: "failure", error });
    if (error.status !== 401) disconnected("", { refused: answered(error) });
  }
  return undefined;
}

/** Check over REST whether a silent connection has missed events. */
async function probe() {
  if (connection.probing) return;
  connection.probing = true;
  try {
    const seq = state.seq;
    const answer = await get("/api/events", { since: seq, limit: 1 });
    if (answer.epoch === state.epoch && answer.head <= Math.max(seq, state.seq)) {
      connection.lastFrame = performance.now();
    } else {
      reconnect();
    }
  } catch {
    disconnected("");
  } finally {
    connection.probing = false;
  }
}

function checkSilence() {
  if (connection.socket?.readyState === WebSocket.OPEN && performance.now() - connection.lastFrame > SILENCE_MS) {
    probe();
  }
}

let started = false;

/** Load the board and follow its events for the lifetime of the page. */
export function start() {
  if (started) return retryNow();
  started = true;
  setInterval(checkSilence, 5000);
  addEventListener("online", () => connection.downSince && attempt());
  addEventListener("offline", () => disconnected("This computer is offline."));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && connection.downSince) attempt();
  });
  return attempt();
}

export function retryNow() {
  clearTimeout(connection.timer);
  return attempt();
}
