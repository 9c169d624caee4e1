// The changes between two submissions of a task.
import { differenceOf } from "../../core/diff.js";
import { html, useMemo } from "../../core/html.js";

/** @type {Record<string, [tag: string, words: string]>} */
const TAGS = { gone: ["del", "removed"], new: ["ins", "added"] };

/** The difference of two texts. Removed and added words are marked by more than their colour. */
function Difference(/** @type {{ before: string, after: string }} */ { before, after }) {
  const parts = useMemo(() => differenceOf(before, after), [before, after]);
  return html`<p class="difference" dir="auto">
    ${parts.map(([kind, text], at) => {
      const [tag, words] = TAGS[kind] ?? [];
      return tag ? html`<${tag} key=${at}><span class="sr">${words}: </span>${text}</${tag}>` : text;
    })}
  </p>`;
}

/** Return the evidence of a submission as lines. `entries` are the known entries by their log id. */
const evidenceLines = (/** @type {SubmissionView} */ { evidence }, /** @type {Map<number, string>} */ entries) =>
  evidence.map((id) => entries.get(id) ?? `log entry ${id}`).join("\n");

const list = (/** @type {string[]} */ lines) => lines.map((line) => `- ${line}`).join("\n");

/** @returns {Record<string, string>} */
const contentTexts = (/** @type {TaskContent | null} */ content) => (content
  ? { Name: content.name, Description: content.description, "Done when": list(content.acceptance) }
  : {});

/**
 * Return [title, before, after] of the differences between a submission and the one before it.
 * @param {Round} before @param {Round} after @param {Map<number, string>} entries
 * @returns {[title: string, before: string, after: string][]}
 */
function changesOf(before, after, entries) {
  const isKnown = before.content && after.content;
  /** @type {Record<string, string | null>[]} */
  const [old, now] = [before, after].map(({ submission, content }) => ({
    ...(isKnown ? contentTexts(content) : {}),
    Summary: submission.summary,
    Branch: submission.branch,
    Commit: submission.commit,
    "Pull request": submission.pull_request,
    Evidence: evidenceLines(submission, entries),
  }));
  return Object.keys(now).filter((title) => old[title] !== now[title])
    .map((title) => [title, old[title] ?? "", now[title] ?? ""]);
}

/** @param {{ before: Round, after: Round, entries: Map<number, string> }} props */
export function Changes({ before, after, entries }) {
  const rows = changesOf(before, after, entries);
  if (rows.length === 0) return html`<p class="muted">Nothing but the round.</p>`;
  return html`<dl class="changes" data-testid="changes">
    ${rows.map(([title, old, now]) => html`<div key=${title}>
      <dt>${title}</dt>
      <dd><${Difference} before=${old} after=${now} /></dd>
    </div>`)}
  </dl>`;
}
