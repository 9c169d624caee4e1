// The knowledge about a project and the assumptions of a task. Agents write them; this page only shows them.
import { get } from "../core/api.js";
import { plural } from "../core/format.js";
import { html, useEffect, useState } from "../core/html.js";
import { LIMITS } from "../core/limits.js";
import { useStore } from "../state/store.js";
import { showError } from "../state/toasts.js";
import { Label, RelativeTime } from "./chips.js";
import { Markdown } from "./markdown.js";

const SHOWN = 50;
const BUDGET = 100_000;
/** @type {Record<string, string>} */
const VERDICTS = { validated: "holds", rejected: "does not hold", partial: "holds in part" };

/** Return the first page of a list as {items, total}. Return null while it loads or if it cannot be read. */
function usePage(/** @type {string} */ path, /** @type {Query} */ query, /** @type {unknown} */ moment) {
  const [page, setPage] = useState(/** @type {{ items: any[], total: number } | null} */ (null));
  const key = JSON.stringify([path, query]);
  useEffect(() => {
    let current = true;
    get(path, { ...query, total: "exact" }).then((found) => current && setPage(found), () => current && setPage(null));
    return () => {
      current = false;
    };
  }, [key, moment]);
  return page;
}

const More = (/** @type {{ page: { items: unknown[], total: number } }} */ { page }) =>
  page.total > page.items.length && html`<p class="muted">and ${page.total - page.items.length} more</p>`;

function CodeLocation(/** @type {{ path: string | null, line: number | null }} */ { path, line }) {
  return path && html`<p class="muted"><code>${line ? `${path}:${line}` : path}</code></p>`;
}

function Verdict(/** @type {{ verdict: VerdictView }} */ { verdict }) {
  if (!verdict) return html`<p class="muted">No verdict yet.</p>`;
  return html`<p>
    <b>${VERDICTS[verdict.verdict] ?? verdict.verdict}</b>
    , <bdi>${verdict.reviewer}</bdi>
    , confidence ${verdict.confidence} % <span class="muted">(<${RelativeTime} at=${verdict.created_at} />)</span>
  </p>
    <${Markdown} text=${verdict.reason} />`;
}

/** The assumptions of agents about this task with the verdicts of reviewers. Renders nothing without any. */
export function Assumptions(/** @type {{ task: Task }} */ { task }) {
  const latestSeq = useStore((state) => state.events.findLast((event) => event.task_id === task.id)?.seq ?? 0);
  const page = usePage(`/api/tasks/${task.id}/assumptions`, { limit: SHOWN }, latestSeq);
  if (!page?.items.length) return null;
  return html`<section data-testid="assumptions">
    <h3>Assumptions</h3>
    <ul class="knowledge-list">
      ${page.items.map((item) => html`<li key=${item.id} class="knowledge-item">
        <p dir="auto"><b>${item.text}</b></p>
        <p class="muted"><bdi>${item.author}</bdi>, <${RelativeTime} at=${item.created_at} /></p>
        <${CodeLocation} path=${item.file_path} line=${item.line_number} />
        ${item.code_snippet && html`<pre tabindex="0"><code>${item.code_snippet}</code></pre>`}
        <${Verdict} verdict=${item.verdict} />
      </li>`)}
    </ul>
    <${More} page=${page} />
  </section>`;
}

function Item(/** @type {{ item: KnowledgeView }} */ { item }) {
  const [whole, setWhole] = useState(/** @type {KnowledgeView | null} */ (null));
  const { content, content_cut: cut, tags } = whole ?? item;
  const read = () => get(`/api/knowledge/${item.id}`).then(setWhole, showError);
  return html`<li class="knowledge-item" data-testid="knowledge">
    <details>
      <summary><bdi>${item.title}</bdi>${item.category && html` <span class="tag">${item.category}</span>`}</summary>
      <${Markdown} text=${content} />
      ${cut && html`<p><button type="button" class="small" onClick=${read}>Show all of it</button></p>`}
      ${tags.length > 0 && html`<p class="label-row">
        ${tags.map((name) => html`<${Label} key=${name} name=${name} />`)}
      </p>`}
      <p class="muted">
        <bdi>${item.updated_by}</bdi>
        , <${RelativeTime} at=${item.updated_at} />
        , version ${item.version}
      </p>
    </details>
  </li>`;
}

function Items(/** @type {{ query: Query }} */ { query }) {
  const page = usePage("/api/knowledge", { ...query, limit: SHOWN, budget_tokens: BUDGET }, 0);
  if (!page) return html`<p class="muted">Reading…</p>`;
  return html`<ul class="knowledge-list">${page.items.map((item) => html`<${Item} key=${item.id} item=${item} />`)}</ul>
    <${More} page=${page} />`;
}

/** A collapsed list, loaded when opened; `total` is the number of items. */
function Folded(/** @type {{ total: number, query: Query }} */ { total, query }) {
  const [open, setOpen] = useState(false);
  return html`<details class="knowledge-section" data-testid="knowledge-section" open=${open}
      onToggle=${(event) => event.target === event.currentTarget && setOpen(event.target.open)}>
    <summary>Known: ${plural(total, "item")}</summary>${open && html`<${Items} query=${query} />`}</details>`;
}

/** The knowledge about the project of this task. Renders nothing without any. */
export function TaskKnowledge(/** @type {{ task: Task }} */ { task }) {
  const query = { project_id: task.project_id, epic_id: task.epic_id };
  const page = usePage("/api/knowledge", { ...query, limit: 1 }, 0);
  return page?.total ? html`<${Folded} total=${page.total} query=${query} />` : null;
}

/** Return the number of knowledge items per project, as Map(project -> items), in one request per page. */
export function useKnowledgeCounts() {
  const [counts, setCounts] = useState(new Map());
  useEffect(() => {
    let current = true;
    const read = async () => {
      const found = new Map();
      let cursor;
      do {
        /** @type {GetAnswers["/api/knowledge"]} */
        const page = await get("/api/knowledge", { limit: LIMITS.PAGE_MAXIMUM, budget_tokens: BUDGET, cursor });
        for (const item of page.items) found.set(item.project_id, (found.get(item.project_id) ?? 0) + 1);
        cursor = page.next_cursor;
      } while (cursor && current);
      if (current) setCounts(found);
    };
    read().catch(() => current && setCounts(new Map()));
    return () => {
      current = false;
    };
  }, []);
  return counts;
}

export const ProjectKnowledge = (/** @type {{ project: Project, total: number }} */ { project, total }) =>
  (total ? html`<${Folded} total=${total} query=${{ project_id: project.id }} />` : null);
