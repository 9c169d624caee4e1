// A small, safe part of Markdown, built as nodes: what agents write can never become HTML.
import { html } from "../core/html.js";
import { TaskLink } from "./chips.js";

// Every repetition is bounded: no text, however crafted, keeps the page busy.
const INLINE = /(?<!`)(`{1,3})(?!`)([^]{1,2000}?)(?<!`)\1(?!`)|\*\*([^*]{1,1000})\*\*|__([^_]{1,1000})__|\*([^*\s][^*]{0,1000})\*|(?<![\p{L}\p{N}])_([^_\s][^_]{0,1000})_(?![\p{L}\p{N}])|~~([^~]{1,1000})~~|\[([^\]]{1,500})\]\(([^()\s]{1,2000})\)|(https?:\/\/[^\s<>()]{1,2000}[^\s<>().,;:!?'"])|(?<![\p{L}\p{N}&#])#(\d{1,15})\b/gu;

const MOST_LINKS = 300;
let links = 0;

/** Only addresses of the web leave the page; anything else stays text. */
function outward(href, children) {
  if (!/^https?:\/\//i.test(href)) return children;
  return html`<a href=${href} target="_blank" rel="noopener noreferrer nofollow">${children}</a>`;
}

function piece(match) {
  const [, , code, strong, strong2, em, em2, strike, text, href, bare, task] = match;
  if (code !== undefined) return html`<code>${code}</code>`;
  if (strong ?? strong2) return html`<strong>${inline(strong ?? strong2)}</strong>`;
  if (em ?? em2) return html`<em>${inline(em ?? em2)}</em>`;
  if (strike) return html`<s>${inline(strike)}</s>`;
  links += 1;
  if (links > MOST_LINKS) return match[0];
  if (href) return outward(href, text);
  if (bare) return outward(bare, bare);
  return html`<${TaskLink} id=${Number(task)} short />`;
}

function inline(text) {
  const parts = [];
  let last = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > last) parts.push(text.slice(last, match.index));
    parts.push(piece(match));
    last = match.index + match[0].length;
  }
  parts.push(text.slice(last));
  return parts;
}

/** Text with its line breaks. */
function lines(text) {
  return text.split("\n").map((line, index) => [index > 0 && html`<br />`, inline(line)]);
}

const ITEM = /^(\s*)(?:[-*+]|\d{1,9}[.)])\s+(?:\[([ xX])\]\s+)?(.*)$/;

function takeList(rows, at) {
  const items = [];
  const ordered = /^\s*\d/.test(rows[at]);
  const indent = rows[at].match(/^\s*/)[0].length;
  let index = at;
  while (index < rows.length && rows[index].trim()) {
    const match = rows[index].match(ITEM);
    const depth = rows[index].match(/^\s*/)[0].length;
    if (match && depth > indent + 1 && items.length) {
      const [list, next] = takeList(rows, index);
      items[items.length - 1].nested.push(list);
      index = next;
    } else if (match && depth < indent) break;
    else {
      if (match) items.push({ text: match[3], done: match[2], nested: [] });
      else if (depth > indent && items.length) items[items.length - 1].text += `\n${rows[index].trim()}`;
      else break;
      index += 1;
    }
  }
  const mark = (done) => html`<span class="tick">${done === " " ? "☐" : "☑"}<span class="sr">${done === " " ? "open" : "done"}</span></span> `;
  const body = items.map((item) => html`<li class=${item.done === undefined ? "" : "ticked"}>${item.done !== undefined && mark(item.done)}${lines(item.text)}${item.nested}</li>`);
  return [ordered ? html`<ol>${body}</ol>` : html`<ul>${body}</ul>`, index];
}

function takeFence(rows, at) {
  const fence = rows[at].match(/^\s*(`{3,}|~{3,})/)[1];
  let end = at + 1;
  while (end < rows.length && !rows[end].trim().startsWith(fence)) end += 1;
  return [html`<pre tabindex="0"><code>${rows.slice(at + 1, end).join("\n")}</code></pre>`, end + 1];
}

const cells = (row) => row.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());

function takeTable(rows, at) {
  let end = at + 2;
  while (end < rows.length && rows[end].includes("|")) end += 1;
  const head = cells(rows[at]).map((cell) => html`<th scope="col">${inline(cell)}</th>`);
  const body = rows.slice(at + 2, end).map((row) => html`<tr>${cells(row).map((cell) => html`<td>${inline(cell)}</td>`)}</tr>`);
  return [html`<div class="table-wrap" tabindex="0" role="group" aria-label="Table"><table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`, end];
}

function takeQuote(rows, at) {
  let end = at;
  while (end < rows.length && /^\s*>/.test(rows[end])) end += 1;
  const inner = rows.slice(at, end).map((row) => row.replace(/^\s*>\s?/, ""));
  return [html`<blockquote>${blocks(inner)}</blockquote>`, end];
}

const STARTS = [
  [(row) => /^\s*(`{3,}|~{3,})/.test(row), takeFence],
  [(row) => /^\s*>/.test(row), takeQuote],
  [(row) => ITEM.test(row), takeList],
  [(row, next) => row.includes("|") && /^\s*\|?[\s:|-]*-[\s:|-]*$/.test(next ?? "") && next.includes("|"), takeTable],
  [(row) => /^#{1,6}\s/.test(row), (rows, at) => [html`<p class="md-heading" role="heading" aria-level="4">${inline(rows[at].replace(/^#+\s+/, ""))}</p>`, at + 1]],
  [(row) => /^\s*([-*_])(\s*\1){2,}\s*$/.test(row), (rows, at) => [html`<hr />`, at + 1]],
];

const starter = (rows, at) => STARTS.find(([starts]) => starts(rows[at], rows[at + 1]))?.[1];

function takeParagraph(rows, at) {
  let end = at + 1;
  while (end < rows.length && rows[end].trim() && !starter(rows, end)) end += 1;
  return [html`<p>${lines(rows.slice(at, end).join("\n"))}</p>`, end];
}

const DEEPEST = 8;
let depth = 0;

function blocks(rows) {
  const found = [];
  depth += 1;
  let at = 0;
  while (at < rows.length) {
    if (!rows[at].trim()) at += 1;
    else {
      const take = (depth < DEEPEST && starter(rows, at)) || takeParagraph;
      const [node, next] = take(rows, at);
      found.push(node);
      at = Math.max(next, at + 1);
    }
  }
  depth -= 1;
  return found;
}

const TABLE_RULE = /^\s*\|?[\s:|-]*-[\s:|-]*$/;
const MARKS = /^\s*(?:#{1,6}\s+|>\s?|(?:[-*+]|\d{1,9}[.)])\s+(?:\[[ xX]\]\s+)?|(?:`{3,}|~{3,}).*$)/;
const wordsOf = ([whole, , code, strong, strong2, em, em2, strike, text]) => code ?? strong ?? strong2 ?? em ?? em2 ?? strike ?? text ?? whole;

/** The words alone, on one line, for where a line is all the room there is. */
export function plain(text) {
  const rows = text.split(/\r?\n/).filter((row) => !TABLE_RULE.test(row) || !row.trim()).map((row) => row.replace(MARKS, ""));
  const bare = (line) => line.replace(INLINE, (...match) => wordsOf(match));
  return bare(bare(rows.join(" "))).replace(/\s+/g, " ").trim();
}

export function Markdown({ text }) {
  links = 0;
  return html`<div class="markdown">${blocks(text.split(/\r?\n/))}</div>`;
}
