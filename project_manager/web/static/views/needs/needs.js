// The list of tasks that need a person.
import { count, plural } from "../../core/format.js";
import { html, useState } from "../../core/html.js";
import { onKeys } from "../../core/keyboard.js";
import { canWrite } from "../../core/vocabulary.js";
import { follow, hrefOf } from "../../state/route.js";
import { state, useStore } from "../../state/store.js";
import { toast } from "../../state/toasts.js";
import { Icon } from "../../ui/icons.js";
import { NoticesButton } from "../page/notices.js";
import { onListKey, useFirstFocus, useFocusOnNext } from "./focus.js";
import { needsOf } from "./groups.js";
import { WaitingMessages } from "./messages.js";
import { Need } from "./row.js";
import { usePointerGuard, useStableList } from "./stable_list.js";

/** Rows of a group with texts that are read at once. Those of other rows are read near the window. */
const WORDS_SHOWN = 12;
const SHOWN = 50;
const MORE = 500;

function Group(/** @type {GroupProps} */ { group, rows, writer, onAct }) {
  const [shown, setShown] = useState(SHOWN);
  const waiting = rows.filter((row) => !row.gone).length;
  const more = rows.length - shown;
  return html`<section class="need-group" aria-labelledby=${`need-${group.id}`} data-testid=${`need-${group.id}`}>
    <h2 id=${`need-${group.id}`}>${group.title}<span class="count">${count(waiting)}</span></h2>
    <p class="muted">${group.explain}</p>
    <ul class="needs">
      ${rows.slice(0, shown).map((row, index) => html`<${Need} key=${row.key} row=${row} words=${index < WORDS_SHOWN}
          actions=${group.actions} writer=${writer} onAct=${onAct} />`)}
    </ul>
    ${more > 0 && html`<button type="button" class="quiet small needs-more" onClick=${() => setShown(shown + MORE)}
        data-testid="needs-more">and ${plural(more, "more", "more")}</button>`}
  </section>`;
}

const KEYS = [["j", "k", "move"], ["a", "accept, answer or main action"], ["s", "send back"], ["o", "open"]];

function KeyLegend() {
  return html`<p class="need-keys muted" aria-hidden="true">
    ${KEYS.map((keys) => html`<span key=${keys[0]}>
      ${keys.slice(0, -1).map((key) => html`<kbd key=${key}>${key}</kbd>`)} ${keys.at(-1)}
    </span>`)}
  </p>`;
}

function Nothing() {
  const board = { view: "board" };
  return html`<div class="empty all-clear">
    <p><${Icon} name="check" /></p>
    <p class="empty-title">Nothing waits for you</p>
    <p>Reviews, questions and blocked tasks will appear here.</p>
    <a class="button" href=${hrefOf(board)} onClick=${(event) => follow(event, board)}>Go to the board</a>
  </div>`;
}

const all = (/** @type {Array<(event: any) =>
  unknown>} */ ...handlers) => (/** @type {Event} */ event) => handlers.forEach((handler) => handler(event));

export function Needs() {
  useStore((now) => now.revision.tasks + now.revision.plans);
  useStore((now) => now.route.project);
  const writer = useStore((now) => canWrite(now.session));
  const waiting = useStore((now) => now.messages);
  useStore((now) => now.session?.max_attempts);
  const list = useStableList({ groups: needsOf(state), messages: waiting });
  const { groups, messages, newCount, frame, handlers } = list;
  const { watch, isMisclick } = usePointerGuard();
  const focus = useFocusOnNext(frame);
  useFirstFocus(frame);
  const renewed = () => {
    list.renew();
    frame.current.querySelector("h1").focus();
  };
  const onAct = (/** @type {MouseEvent} */ event, /** @type {() => unknown} */ act) => {
    if (isMisclick(event)) {
      toast("The list changed while you clicked. Nothing was done.", { hint: "Click the row again." });
    } else act();
  };
  const empty = groups.length === 0 && messages.length === 0;
  return html`<section class="page needs-page" aria-labelledby="page-title" ref=${frame} ...${handlers} ...${watch}
      onClick=${focus.onClick} onSubmit=${focus.onSubmit}
      onFocusIn=${all(handlers.onFocusIn, focus.onFocusIn)} onFocusOut=${all(handlers.onFocusOut, focus.onFocusOut)}
      onKeyDown=${onKeys(onListKey)}>
    <div class="page-head needs-head">
      <h1 id="page-title" tabindex="-1">Needs you</h1>
      <span role="status">
        ${list.renewable && html`<button type="button" class="small primary" onClick=${renewed}
            data-testid="needs-news">
          ${newCount ? `${newCount} new` : "Tidy up"}
        </button>`}
      </span>
      <span class="push"></span>
      ${!empty && writer && html`<${KeyLegend} />`}
      <${NoticesButton} />
    </div>
    <${WaitingMessages} rows=${messages} writer=${writer} onAct=${onAct} />
    ${empty && html`<${Nothing} />`}
    ${groups.map(({ group, rows }) => html`<${Group} key=${group.id} group=${group} rows=${rows} writer=${writer}
        onAct=${onAct} />`)}
  </section>`;
}
