// Paged reads of lists, and of a board that is too large for one answer.
import { get } from "../core/api.js";
import { LIMITS } from "../core/limits.js";

export const PER_CALL = LIMITS.PAGE_MAXIMUM;
const { EXCERPT_CHARACTERS } = LIMITS;

/**
 * Return all rows of a list, each changed by `keep`, up to about `most`. `progress(read, total)` runs after each page;
 * only the first page counts the total. A page with long texts is shorter, so a short page is not always the last one.
 */
/** @param {string} path @param {Query} [query] @param {FetchOptions} options */
export async function fetchAll(path, query = {}, { keep = (item) => item, progress, most = Infinity } = {}) {
  const items = [];
  let cursor;
  let total;
  do {
    const counting = progress && !cursor ? "exact" : undefined;
    /** @type {{ items: any[], total: number, next_cursor: string | null }} */
    const page = await get(path, { ...query, limit: PER_CALL, cursor, total: counting });
    for (const item of page.items) items.push(keep(item));
    total ??= page.total;
    progress?.(items.length, total);
    cursor = page.next_cursor;
  } while (cursor && items.length < most);
  return items;
}

/** Return the item with only the start of a long description, as the board has it, to save memory. */
export function withExcerpt(/** @type {any} */ item) {
  const lead = Array.from(item.description.slice(0, 2 * EXCERPT_CHARACTERS)).slice(0, EXCERPT_CHARACTERS).join("");
  return lead.length === item.description.length ? item : { ...item, description: lead, description_truncated: true };
}

/**
 * Return the board in the format of `/api/board/state`, read page by page. Its event number is from before the first
 * page, so later events repeat changes made during the read. `progress(read, total)` counts tasks.
 */
export async function pagedBoard(/** @type {(read: number, total: number) => void} */ progress) {
  const { head, epoch } = await get("/api/events", { limit: 1 });
  const projects = await fetchAll("/api/projects", {}, { keep: withExcerpt });
  const epics = await fetchAll("/api/epics", {}, { keep: withExcerpt });
  const tasks = await fetchAll("/api/tasks", {}, { keep: withExcerpt, progress });
  return { projects, epics, tasks, seq: head, epoch };
}
