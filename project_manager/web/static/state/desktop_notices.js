// Desktop notices of this browser. Several tabs show one notice for an event, and none while a tab is in front.
import { loadSetting, saveSetting } from "../core/local_storage.js";
import { navigate } from "./route.js";
import { state, watch } from "./store.js";
import { NO_MEMORY, digestText, gather, isQuiet, noticeOf, seen, settingsOf, textOf } from "./notices.js";

const SETTINGS = "notices";
const MEMORY = "notices-memory";
// Names of locks that the tabs of this browser share.
const DELIVERY = "project-manager:notices";
const IN_FRONT = "project-manager:in-front";
const DIGEST_TAG = "project-manager:digest";

export const noticeSettings = () => settingsOf(loadSetting(SETTINGS, null));
export const saveNoticeSettings = (/** @type {NoticeSettings} */ settings) => saveSetting(SETTINGS, settings);

/** Return why this page cannot show notices, or null: browsers offer them on HTTPS and on this computer only. */
export function whyUnavailable() {
  if (!isSecureContext) return "insecure";
  return "Notification" in window && "locks" in navigator ? null : "unsupported";
}

export const permission = () => (whyUnavailable() ? "denied" : Notification.permission);

/** Ask for the permission, which needs a click of the user. Return whether notices are allowed. */
export const askPermission = async () => (await Notification.requestPermission()) === "granted";

function icon() {
  const link = /** @type {HTMLLinkElement | null} */ (document.querySelector('link[rel="icon"]'));
  return link ? new URL("icon.svg", link.href).href : undefined;
}

/**
 * Show a notice. A click brings the page to the front and opens `target`. Return false where the browser refuses, as
 * browsers of phones do.
 * @param {{ title: string, body: string }} text @param {string} tag @param {RouteChanges} target
 */
export function showNotice(text, tag, target) {
  try {
    const shown = new Notification(text.title, { body: text.body, tag, icon: icon() });
    shown.onclick = () => {
      window.focus();
      navigate(target);
      shown.close();
    };
    return true;
  } catch {
    return false;
  }
}

function show(/** @type {ReturnType<typeof gather>} */ { single, digest }) {
  for (const notice of single) {
    const text = textOf(notice, state.tasks.get(notice.task)?.name);
    showNotice(text, `project-manager:${state.epoch}:${notice.seq}`, { task: notice.task });
  }
  if (digest) {
    const text = { title: digestText(digest), body: "Open what needs you" };
    showNotice(text, DIGEST_TAG, { view: "needs", task: null });
  }
}

const isInFront = () => document.visibilityState === "visible" && document.hasFocus();

/** Return whether a tab of the dashboard is in front. */
async function isWatched() {
  const { held = [] } = await navigator.locks.query();
  return isInFront() || held.some((lock) => lock.name === IN_FRONT);
}

/** Show the notices that no tab has shown. The lock lets one tab at a time read and write the memory of all tabs. */
function deliver(/** @type {Notice[]} */ notices, /** @type {number} */ seq) {
  return navigator.locks.request(DELIVERY, async () => {
    const settings = noticeSettings();
    const stored = loadSetting(MEMORY, NO_MEMORY);
    const memory = stored.epoch === state.epoch ? stored : { ...NO_MEMORY, epoch: state.epoch };
    const now = Date.now();
    const fresh = notices.filter((notice) => notice.seq > memory.seq && settings.kinds[notice.kind]);
    const silenced = !settings.on || isQuiet(settings, new Date(now)) || (await isWatched());
    const next = gather(memory, fresh, now);
    saveSetting(MEMORY, seen(silenced ? memory : next.memory, seq, silenced));
    if (!silenced) show(next);
  });
}

/** @type {((value: unknown) => void) | null} */
let release = null;
let asking = false;

/** Hold a lock while this tab is in front. The browser releases it with the tab. */
function markFront() {
  if (!isInFront()) {
    release?.(null);
    release = null;
  } else if (!release && !asking) {
    asking = true;
    navigator.locks.request(IN_FRONT, { mode: "shared" }, () => new Promise((resolve) => {
      asking = false;
      release = resolve;
      markFront(); // the tab may have gone to the back meanwhile
    }));
  }
}

function contextOf() {
  return { maxAttempts: state.session?.max_attempts ?? 0, user: state.session?.actor ?? null };
}

/** Follow the events of the page. Events from before the board was read have no notice. */
export function startNotices() {
  if (whyUnavailable()) return;
  for (const name of ["focus", "blur"]) addEventListener(name, markFront);
  document.addEventListener("visibilitychange", markFront);
  markFront();
  let { seq, epoch } = state;
  watch(() => {
    const known = epoch === state.epoch ? seq : state.seq;
    if (known === state.seq) {
      epoch = state.epoch;
      seq = state.seq;
      return;
    }
    const first = state.events.findLastIndex((event) => event.seq <= known) + 1;
    const context = contextOf();
    const found = state.events.slice(first).map((event) => noticeOf(event, context));
    const notices = found.filter((notice) => notice !== null);
    seq = state.seq;
    if (notices.length && noticeSettings().on) deliver(notices, seq);
  });
}
