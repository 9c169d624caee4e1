// Messages that need a person, and the actions that send and acknowledge them.
import { get, post } from "../core/api.js";
import { bidiIsolate } from "../core/format.js";
import { dispatch } from "./store.js";
import { showError, toast } from "./toasts.js";

const READ = 100;

/** Read the messages that need a person, and the open ones to the user. */
export async function loadMessages() {
  const page = await get("/api/messages", { attention: "true", limit: READ });
  dispatch({ type: "messages", messages: page.items });
}

/** Read the newest messages: of the user, for an operator all. `participant` selects those from and to an agent. */
export const readNewestMessages = (/** @type {string | undefined} */ participant = undefined) =>
  get("/api/messages", { limit: READ, participant });

const OF_TASK = 10;

/** Read the newest messages to the holder of a task. */
export const readMessagesOf = (/** @type {number} */ id) => get("/api/messages", { to_task: id, limit: OF_TASK });

/** Return the words for the addressee of a message. */
/** @param {Pick<MessageView, "to_agent" | "to_task" | "to_project">} to */
export function addresseeOf(to) {
  if (to.to_agent) return bidiIsolate(to.to_agent);
  return to.to_task ? `the holder of #${to.to_task}` : `the agents of project ${to.to_project}`;
}

/** Send a message. Throw ApiError. */
/** @param {MessageTarget} target @param {string} kind @param {string} body */
export async function sendMessage(target, kind, body) {
  const sent = await post("/api/messages", { ...target, kind, body });
  toast(kind === "stop" ? `Stopped ${addresseeOf(sent)}` : `Sent to ${addresseeOf(sent)}`);
  await loadMessages();
}

export async function acknowledgeMessage(/** @type {number} */ id) {
  try {
    await post("/api/messages/acknowledge", { ids: [id] });
  } catch (error) {
    showError(error);
  }
  await loadMessages().catch(showError);
}
