// The dialog for the comment of a move.
import { cx, html, useRef, useState } from "../core/html.js";
import { onKeys } from "../core/keyboard.js";
import { closeDialog } from "../state/dialogs.js";
import { commentDraft, saveComment } from "../state/move_comments.js";
import { Dialog } from "../ui/dialog.js";
import { Icon } from "../ui/icons.js";
import { LatestLogEntry } from "../ui/latest_log_entry.js";

/** The dialog. This tab keeps the draft until it is sent, so that closing needs no question. */
/** @param {MoveCommentDialogProps} props */
export function MoveCommentDialog({ id, task, status, title, label, required, error, hint, answer }) {
  const [comment, setComment] = useState(() => commentDraft(task, status));
  const [invalid, setInvalid] = useState(false);
  const box = useRef(null);
  const change = (/** @type {UiEvent} */ { target }) => {
    setComment(target.value);
    setInvalid(false);
    saveComment(task, status, target.value);
  };
  const send = (/** @type {UiEvent} */ event) => {
    event.preventDefault();
    if (required && !comment.trim()) {
      setInvalid(true);
      box.current.focus();
      return;
    }
    answer(comment.trim());
    closeDialog(id);
  };
  // Enter sends, also with Ctrl; Shift Enter starts a new line.
  const onKeyDown = onKeys((event) => event.key === "Enter" && !event.shiftKey && send(event));
  return html`<${Dialog} id=${id} title=${`${title} #${task.id}`} onClose=${() => answer(null)}>
    ${(close) => html`<form onSubmit=${send}>
      <div class="dialog-body">
        <p dir="auto"><b>${task.name}</b></p>
        <${LatestLogEntry} task=${task} />
        <div class=${cx("field", invalid && "invalid")}>
          <label for="move-comment">${label}${!required && html` <span class="muted">(optional)</span>`}</label>
          <textarea id="move-comment" ref=${box} rows="3" dir="auto" autofocus value=${comment} onInput=${change}
              onKeyDown=${onKeyDown} aria-required=${required} aria-invalid=${invalid ? "true" : undefined}
              aria-describedby="move-comment-hint" data-testid="move-comment"></textarea>
          <p class=${invalid ? "field-error" : "hint"} id="move-comment-hint" role=${invalid ? "alert" : undefined}>
            ${invalid
              ? html`<${Icon} name="warn" />${error}`
              : `${hint} Enter sends, Shift Enter starts a new line.`}
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
