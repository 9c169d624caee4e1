// The open question of a task, with the form for its answer.
import { cx, html, useState } from "../../core/html.js";
import { LIMITS } from "../../core/limits.js";
import { canWrite } from "../../core/vocabulary.js";
import { answerQuestion, hasQuestion } from "../../state/questions.js";
import { state, useStore } from "../../state/store.js";
import { useDetails } from "../../state/task_details.js";
import { Field } from "../../forms/field.js";
import { PlainWithLinks } from "../../ui/markdown.js";

const KEYS = 9;

/**
 * A button for each suggested answer, with a digit as its key, and a field for another one. `fixed` only keeps its
 * place.
 * @param {{ task: Task, question: QuestionView, fixed: boolean }} props
 */
function AnswerForm({ task, question, fixed }) {
  const [text, setText] = useState("");
  const busy = state.pending.has(task.id);
  const send = (/** @type {string} */ answer) => answerQuestion(task, question, answer);
  const onSubmit = (/** @type {UiEvent} */ event) => {
    event.preventDefault();
    if (text.trim() && !busy) send(text);
  };
  return html`<form class=${cx("answer", fixed && "ghost")} onSubmit=${onSubmit}>
    ${question.options.length > 0 && html`<div class="row" role="group" aria-label="Suggested answers">
      ${question.options.map((option, at) => html`<button key=${option} type="button" class="small option"
          disabled=${busy} onClick=${() => send(option)} data-key=${at < KEYS ? at + 1 : undefined}
          data-testid="option">
        ${at < KEYS && html`<kbd aria-hidden="true">${at + 1}</kbd>`}<bdi>${option}</bdi>
      </button>`)}
    </div>`}
    <div class="row">
      <${Field} label=${`Answer to #${task.id}`} name="answer" value=${text} onChange=${setText}
          maxlength=${LIMITS.QUESTION_CHARACTERS} data-key="a" data-testid="answer" />
      <button type="submit" class="small primary" disabled=${busy || !text.trim()}>Answer</button>
    </div>
  </form>`;
}

/** The question that blocks the task. Without one it renders nothing. `fixed` keeps the present one. */
export function Question(/** @type {{ task: Task, fixed?: boolean }} */ { task, fixed = false }) {
  const writer = useStore((now) => canWrite(now.session));
  const question = useDetails(task, fixed)?.question;
  if (!question || !(fixed || hasQuestion(task))) return null;
  return html`<div class="question" data-testid="question">
    <p><bdi>${question.asker}</bdi> asks:</p>
    <p class="question-text" dir="auto"><${PlainWithLinks} text=${question.text} /></p>
    ${writer && html`<${AnswerForm} key=${question.id} task=${task} question=${question} fixed=${fixed} />`}
  </div>`;
}
