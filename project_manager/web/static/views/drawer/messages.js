// The messages to the holder of a task with their receipts.
import { html, useEffect, useState } from "../../core/html.js";
import { readMessagesOf } from "../../state/messages.js";
import { useStore } from "../../state/store.js";
import { showError } from "../../state/toasts.js";
import { Message } from "../../ui/message.js";

export function TaskMessages(/** @type {{ task: Task }} */ { task }) {
  const revision = useStore((state) => state.messageRevision);
  const [messages, setMessages] = useState(/** @type {MessageView[]} */ ([]));
  useEffect(() => {
    let here = true;
    readMessagesOf(task.id).then((page) => here && setMessages(page.items), showError);
    return () => {
      here = false;
    };
  }, [task.id, revision]);
  if (messages.length === 0) return null;
  return html`<section data-testid="task-messages">
    <h3>Messages to the holder</h3>
    <ul class="messages">${messages.map((message) => html`<${Message} key=${message.id} message=${message}
        within=${task.id} />`)}</ul>
  </section>`;
}
