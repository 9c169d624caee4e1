// The WebSocket: resumes by event number after any interruption, says honestly how fresh the page is.
import { get, queryString } from "./api.js";
import { setServerTime } from "./clock.js";
import { applyEvents, loadBoard, markDirty } from "./sync.js";
import { dispatch, state } from "./store.js";

const SILENCE_MS = 45_000;
const STALE_MS = 15_000;
const LONGEST_WAIT_MS = 20_000;
const ABSENT_WAIT_MS = 2000;
const RELOAD_PAUSE_MS = 3000;
const CALM_MS = 60_000;

const POLL_SECONDS = 15;
const POLLS = 20;

const line = { socket: null, greeted: false, unopened: 0, rereads: false, lastFrame: 0, failures: 0, timer: null, downSince: null, target: 0, outdated: false, reloading: false, orders: 0, orderedAt: -CALM_MS, probing: false, polls: null };

const face = (connection) => dispatch({ type: "connection", connection });

/** Milliseconds until the next attempt. The pause grows only if the server answers and refuses. */
function waitOf(failures, refused) {
  const longest = Math.min(refused ? LONGEST_WAIT_MS : ABSENT_WAIT_MS, 500 * 2 ** failures);
  return refused ? longest / 2 + Math.random() * (longest / 2) : longest * (0.8 + Math.random() * 0.2);
}

/** Whether the server itself answered. While it restarts, a proxy in front of it sends answers of another format. */
const answered = (error) => error.status > 0 && error.code !== "unreadable_answer";

function address() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  return `${scheme}://${location.host}/ws/updates${queryString({ since: state.seq, epoch: state.epoch, batch: 1 })}`;
}

function showProgress() {
  const behind = Math.max(0, line.target - state.seq);
  if (behind) face({ face: "catching-up", behind });
  else face({ face: "live", behind: 0, staleSince: null, retryAt: null, reason: "" });
}

function wentWell() {
  line.failures = 0;
  line.downSince = null;
}

/** Everything again: our numbers are from before what the server still keeps, or from another history. */
async function reload() {
  line.outdated = true;
  if (line.reloading) return;
  line.reloading = true;
  if (line.socket) face({ face: "catching-up", behind: 0 });
  try {
    await loadBoard();
    line.outdated = false;
    wentWell();
    reconnect();
  } catch (error) {
    lost("", { refused: answered(error) });
  } finally {
    line.reloading = false;
  }
}

const ELSEWHERE = "Requests reach different databases. Contact the server administrator.";
const AGAIN = "The server repeatedly requests a resync.";

/** The server has no use for our numbers. At once; with growing pauses where those of a board read anew are of no use either. */
function beginAnew(reason) {
  line.outdated = true;
  if (line.reloading) return undefined;
  const calm = performance.now() - line.orderedAt >= CALM_MS;
  line.orderedAt = performance.now();
  line.orders = calm ? 0 : line.orders + 1;
  if (calm) return reload();
  line.failures = Math.max(line.failures, line.orders);
  return lost(reason, { untrue: true });
}

let reloadLater = null;
let reloadedAt = -RELOAD_PAUSE_MS;

/** At once, but not again and again while an import of many plans goes on. */
function reloadSoon() {
  const pause = Math.max(0, reloadedAt + RELOAD_PAUSE_MS - performance.now());
  reloadLater ??= setTimeout(async () => {
    reloadLater = null;
    reloadedAt = performance.now();
    await reload();
  }, pause);
}

function hello(frame) {
  line.greeted = true;
  line.unopened = 0;
  setServerTime(frame.server_time);
  if (state.serverVersion !== frame.version) dispatch({ type: "version", version: frame.version });
  if (state.epoch !== frame.epoch) return beginAnew(ELSEWHERE);
  wentWell();
  line.target = frame.seq;
  if (line.rereads) markDirty(state.columns.IN_PROGRESS.map((task) => task.id).slice(0, 500));
  line.rereads = false;
  return showProgress();
}

function receive(frame) {
  if (frame.type === "hello") hello(frame);
  else if (frame.type === "resync") beginAnew(AGAIN);
  else if (frame.type === "batch" || frame.seq) {
    if (applyEvents(frame.events ?? [frame])) reloadSoon();
    if (state.connection.face !== "live") showProgress();
  }
}

function drop() {
  const socket = line.socket;
  line.socket = null;
  line.polls = null;
  if (socket) socket.close();
}

/** Try again later. `untrue`: the page is known to be wrong. `refused`: the server answered and refused. */
function lost(reason, { untrue = false, refused = untrue } = {}) {
  drop();
  clearTimeout(line.timer);
  line.downSince ??= Date.now();
  line.rereads = true;
  const wait = waitOf(line.failures, refused);
  line.failures += 1;
  const stale = untrue || Date.now() - line.downSince >= STALE_MS;
  face({ face: stale ? "stale" : "reconnecting", staleSince: line.downSince, retryAt: performance.now() + wait, reason });
  line.timer = setTimeout(attempt, wait);
}

const REASONS = { 1013: "The server is at its limit of live connections.", 1008: "The server did not accept the connection." };
const CROWDED = 1013;
const REFUSED = new Set([1008, 4401]);

/** A handshake that fails does not say why: is the server gone, are we signed out, or does nothing let a WebSocket through? */
async function closed(event) {
  const greeted = line.greeted;
  lost(REASONS[event.code] ?? "", { refused: event.code in REASONS || line.unopened > 0 });
  if (event.code === CROWDED || (greeted && !REFUSED.has(event.code))) return;
  try {
    await get("/api/agents", { limit: 1 });
    line.unopened += 1;
  } catch {
    line.unopened = 0;
  }
}

function polled(answer) {
  wentWell();
  line.target = answer.head;
  if (applyEvents(answer.items)) reloadSoon();
  showProgress();
}

/** Where proxies let no WebSocket through, events are asked for and waited for; now and then the WebSocket is tried again. */
async function poll() {
  drop();
  const polls = {};
  line.polls = polls;
  try {
    for (let round = 0; round < POLLS; round += 1) {
      const since = state.seq;
      const answer = await get("/api/events", { since, epoch: state.epoch, limit: 500, wait_seconds: round ? POLL_SECONDS : 0 });
      if (line.polls !== polls) return undefined;
      if (answer.resync || answer.epoch !== state.epoch) return beginAnew(answer.epoch === state.epoch ? AGAIN : ELSEWHERE);
      // A board that was read anew meanwhile may be from before what was asked for: there would be a gap.
      if (since <= state.seq) polled(answer);
    }
    reconnect();
  } catch (error) {
    if (line.polls === polls) lost("", { refused: answered(error) });
  }
  return undefined;
}

function open() {
  const socket = new WebSocket(address());
  line.socket = socket;
  line.greeted = false;
  line.lastFrame = performance.now();
  socket.onmessage = (message) => {
    if (socket !== line.socket) return;
    line.lastFrame = performance.now();
    receive(JSON.parse(message.data));
  };
  socket.onclose = (event) => {
    if (socket === line.socket) closed(event);
  };
}

export function reconnect() {
  clearTimeout(line.timer);
  drop();
  open();
}

async function attempt() {
  if (line.outdated) return reload();
  if (state.loaded) return line.unopened > 1 ? poll() : reconnect();
  try {
    await loadBoard();
    reconnect();
  } catch (error) {
    dispatch({ type: "failure", error });
    if (error.status !== 401) lost("", { refused: answered(error) });
  }
  return undefined;
}

/** A quiet line may be a dead one: ask by another way whether we have everything. */
async function probe() {
  if (line.probing) return;
  line.probing = true;
  try {
    const seq = state.seq;
    const answer = await get("/api/events", { since: seq, limit: 1 });
    if (answer.epoch === state.epoch && answer.head <= Math.max(seq, state.seq)) line.lastFrame = performance.now();
    else reconnect();
  } catch {
    lost("");
  } finally {
    line.probing = false;
  }
}

function look() {
  if (line.socket?.readyState === WebSocket.OPEN && performance.now() - line.lastFrame > SILENCE_MS) probe();
}

let started = false;

/** Loads the board and follows it from there, for as long as the page lives. */
export function start() {
  if (started) return retryNow();
  started = true;
  setInterval(look, 5000);
  addEventListener("online", () => line.downSince && attempt());
  addEventListener("offline", () => lost("This computer is offline."));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && line.downSince) attempt();
  });
  return attempt();
}

export function retryNow() {
  clearTimeout(line.timer);
  return attempt();
}
