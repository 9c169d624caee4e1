// Lists come in pages, and so does a board that is too large for one answer.
import { get } from "./api.js";

export const PER_CALL = 500;
const LEAD = 280;

/** Reads a list to its end. A page ends early where its texts are long, so rows are no measure of that. */
async function everyPage(path, query, each) {
  let cursor;
  do {
    const page = await get(path, { ...query, limit: PER_CALL, cursor });
    each(page);
    cursor = page.next_cursor;
  } while (cursor);
}

/** All rows of a list. */
export async function everyItem(path, query = {}) {
  const items = [];
  await everyPage(path, query, (page) => items.push(...page.items));
  return items;
}

/** With the beginning of a long description, as the board has it: all of them whole would fill the memory. */
function shortened(item) {
  const lead = Array.from(item.description.slice(0, 2 * LEAD)).slice(0, LEAD).join("");
  return lead.length === item.description.length ? item : { ...item, description: lead, description_truncated: true };
}

async function shortenedItems(path, progress = () => {}) {
  const items = [];
  await everyPage(path, {}, (page) => {
    for (const item of page.items) items.push(shortened(item));
    progress(items.length, page.total);
  });
  return items;
}

/**
 * The board as `/api/board/state` has it, read page by page. Its number is from before the first page: what happens
 * while pages are read is told again by the events after it. `progress(read, total)` counts tasks.
 */
export async function pagedBoard(progress) {
  const { head, epoch } = await get("/api/events", { limit: 1 });
  const projects = await shortenedItems("/api/projects");
  const epics = await shortenedItems("/api/epics");
  const tasks = await shortenedItems("/api/tasks", progress);
  return { projects, epics, tasks, seq: head, epoch };
}
