// The dialog for the comment of a move.
import { closeDialog } from "../core/ask.js";
import { cx, html, useRef, useState } from "../core/html.js";
import { onKeys } from "../core/keyboard.js";
import { commentDraft, saveComment } from "../core/move_comments.js";
import { Dialog } from "../ui/dialog.js";
import { Icon } from "../ui/icons.js";
import { LatestLogEntry } from "./latest_log_entry.js";

/** The dialog. This tab keeps the draft until it is sent, so that closing needs no question. */
export function MoveCommentDialog(
  /** @type {MoveCommentDialogProps} */
  { id, task, status, title, label, required, fault, answer },
) {
  const [line, setLine] = useState(() => commentDraft(task, status));
  const [faulty, setFaulty] = useState(false);
  const box = useRef(null);
  const change = (/** @type {UiEvent} */ { target }) => {
    setLine(target.value);
    setFaulty(false);
    saveComment(task, status, target.value);
  };
  const send = (/** @type {UiEvent} */ event) => {
    event.preventDefault();
    if (required && !line.trim()) {
      setFaulty(true);
      box.current.focus();
      return;
    }
    answer(line.trim());
    closeDialog(id);
  };
  // Enter sends, also with Ctrl; Shift Enter starts a new line.
  const onKeyDown = onKeys((event) => event.key === "Enter" && !event.shiftKey && send(event));
  return html`<${Dialog} id=${id} title=${`${title} #${task.id}`} onClose=${() => answer(null)}>
    ${(close) => html`<form onSubmit=${send}>
      <div class="dialog-body">
        <p dir="auto"><b>${task.name}</b></p>
        <${LatestLogEntry} task=${task} />
        <div class=${cx("field", faulty && "faulty")}>
          <label for="move-comment">${label}${!required && html` <span class="muted">(optional)</span>`}</label>
          <textarea id="move-comment" ref=${box} rows="3" dir="auto" autofocus value=${line} onInput=${change}
              onKeyDown=${onKeyDown} aria-required=${required} aria-invalid=${faulty ? "true" : undefined}
              aria-describedby="move-comment-hint" data-testid="move-comment"></textarea>
          <p class=${faulty ? "fault" : "hint"} id="move-comment-hint" role=${faulty ? "alert" : undefined}>
            ${faulty
              ? html`<${Icon} name="warn" />${fault}`
              : "It is added to the log with the move. Enter sends, Shift Enter starts a new line."}
          </p>
        </div>
      </div>
      <footer class="dialog-foot">
        <button type="button" onClick=${close}>Cancel</button>
        <button type="submit" class="primary" data-testid="send-comment">${title}</button>
      </footer>
    </form>`}
  <//>`;
}
