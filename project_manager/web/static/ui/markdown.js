// Markdown as elements. The parser's tokens become nodes, so that text never becomes HTML.
import { html, useMemo } from "../core/html.js";
import { useStore } from "../state/store.js";
import { TaskLink } from "./chips.js";
import { useTokens } from "./markdown_parser.js";

const MAX_LINKS = 300;
const REFERENCE = /(?<![\p{L}\p{N}&#])#(\d{1,15})\b/gu;

let newest = { revision: -1, id: 0 };

/** Return the highest known task id. A higher number in a text is not a reference. */
function newestTask(/** @type {State} */ state) {
  if (newest.revision !== state.revision.tasks) {
    let id = 0;
    for (const known of state.tasks.keys()) id = Math.max(id, known);
    newest = { revision: state.revision.tasks, id };
  }
  return newest.id;
}

/** Limits of one text: a maximum number of links, and no nested links. */
class Budget {
  constructor(/** @type {number} */ newestId) {
    this.newestId = newestId;
    this.links = 0;
    this.inLink = false;
  }

  takeLink() {
    this.links += 1;
    return this.links <= MAX_LINKS;
  }
}

const externalLink = (/** @type {string} */ href, /** @type {any} */ children) =>
  html`<a href=${href} target="_blank" rel="noopener noreferrer nofollow">
  ${children}
</a>`;

/** Return the text with task references as links. */
function linkReferences(/** @type {string} */ text, /** @type {Budget} */ budget) {
  if (budget.inLink) return text;
  const parts = [];
  let last = 0;
  for (const match of text.matchAll(REFERENCE)) {
    const id = Number(match[1]);
    if (id < 1 || id > budget.newestId || !budget.takeLink()) continue;
    parts.push(text.slice(last, match.index), html`<${TaskLink} id=${id} short />`);
    last = match.index + match[0].length;
  }
  parts.push(text.slice(last));
  return parts;
}

/** Set `dir` after the children: Chromium recomputes the direction for each child added to `dir="auto"`. */
const autoDirection = (/** @type {HTMLElement | null} */ element) => element?.setAttribute("dir", "auto");

const pre = (/** @type {Token} */ token) =>
  html`<pre tabindex="0" dir="ltr"><code>${token.content.replace(/\n$/, "")}</code></pre>`;

/** @type {Record<string, (token: Token, budget: Budget) => any>} */
const LEAVES = {
  text: (token, budget) => linkReferences(token.content, budget),
  softbreak: () => html`<br />`,
  hardbreak: () => html`<br />`,
  code_inline: (token) => html`<code>${token.content}</code>`,
  fence: pre,
  code_block: pre,
  hr: () => html`<hr />`,
  inline: (token, budget) => nodesOf(token.children ?? [], budget),
  // The content security policy blocks external images, so the address becomes a link.
  image: (token, budget) =>
    (budget.inLink || !budget.takeLink()
      ? token.content
      : externalLink(token.attrGet("src"), token.content || token.attrGet("src"))),
};

function listItem(/** @type {any} */ children, /** @type {Token} */ token) {
  if (!token.meta) return html`<li>${children}</li>`;
  const { done } = token.meta;
  return html`<li class="ticked">
    <span class="tick">${done ? "☑" : "☐"}<span class="sr">${done ? "done" : "open"}</span></span> ${children}
  </li>`;
}

const heading = (/** @type {any} */ children, /** @type {Token} */ token) =>
  html`<p class="md-heading" role="heading" aria-level=${token.meta.level}
    ref=${autoDirection}>${children}</p>`;
const table = (/** @type {any} */ children) =>
  html`<div class="table-wrap" tabindex="0" role="group" aria-label="Table">
  <table>${children}</table>
</div>`;

/** @type {Record<string, (children: any, token: Token) => any>} */
const ELEMENTS = {
  paragraph_open: (children, token) => (token.hidden ? children : html`<p ref=${autoDirection}>${children}</p>`),
  heading_open: heading,
  blockquote_open: (children) => html`<blockquote>${children}</blockquote>`,
  bullet_list_open: (children) => html`<ul ref=${autoDirection}>${children}</ul>`,
  ordered_list_open: (children, token) => html`<ol ref=${autoDirection} start=${token.attrGet("start") ?? undefined}>
    ${children}
  </ol>`,
  list_item_open: listItem,
  table_open: table,
  thead_open: (children) => html`<thead>${children}</thead>`,
  tbody_open: (children) => html`<tbody>${children}</tbody>`,
  tr_open: (children) => html`<tr>${children}</tr>`,
  th_open: (children) => html`<th scope="col" ref=${autoDirection}>${children}</th>`,
  td_open: (children) => html`<td ref=${autoDirection}>${children}</td>`,
  em_open: (children) => html`<em>${children}</em>`,
  strong_open: (children) => html`<strong>${children}</strong>`,
  s_open: (children) => html`<s>${children}</s>`,
  link_open: (children, token) => externalLink(token.attrGet("href"), children),
};

/** Return the element. A link beyond the limit is only its text. */
function elementOf(/** @type {OpenElement} */ { token, nodes }, /** @type {Budget} */ budget) {
  return token.type !== "link_open" || budget.takeLink() ? ELEMENTS[token.type](nodes, token) : nodes;
}

/** Build nodes from a flat list of tokens with opening and closing tokens. */
function nodesOf(/** @type {Token[]} */ tokens, /** @type {Budget} */ budget) {
  /** @type {OpenElement[]} */
  const open = [];
  /** @type {any[]} */
  const top = [];
  for (const token of tokens) {
    if (token.type === "link_open" || token.type === "link_close") budget.inLink = token.type === "link_open";
    const element = token.nesting === -1 && open.pop();
    const parent = open.at(-1)?.nodes ?? top;
    if (token.nesting === 1) open.push({ token, nodes: [] });
    else parent.push(element ? elementOf(element, budget) : LEAVES[token.type]?.(token, budget) ?? token.content);
  }
  return top;
}

const FIRST_LEVEL = 3;

/** Set heading levels below the title of the page, without gaps, however the text nests them. */
function withHeadingLevels(/** @type {Token[]} */ tokens) {
  const open = [];
  for (const token of tokens.filter(({ type }) => type === "heading_open")) {
    const rank = Number(token.tag[1]);
    while (open.length && open[open.length - 1] >= rank) open.pop();
    open.push(rank);
    token.meta = { level: Math.min(6, FIRST_LEVEL + open.length - 1) };
  }
  return tokens;
}

/** @returns {string} */
function textOf(/** @type {Token} */ token) {
  if (token.children && token.type !== "image") return token.children.map(textOf).join("");
  return token.type === "softbreak" || token.type === "hardbreak" ? " " : token.content;
}

const onOneLine = (/** @type {string} */ text) => text.replace(/\s+/g, " ").trim();

const spaced = (/** @type {string} */ text) => text.replace(/\s+/g, " ");

/** Build text and links of the tokens as one line. */
function lineOf(/** @type {Token[]} */ tokens, /** @type {Budget} */ budget) {
  const line = [];
  /** @type {{ href: string, words: string[] } | null} */
  let link = null;
  for (const token of tokens) {
    for (const part of token.children && token.type !== "image" ? token.children : [token]) {
      if (part.type === "link_open") link = { href: part.attrGet("href"), words: [] };
      else if (link && part.type === "link_close") {
        const words = link.words.join("");
        line.push(budget.takeLink() ? externalLink(link.href, words) : words);
        link = null;
      } else if (link) link.words.push(spaced(textOf(part)));
      else line.push(part.type === "text" ? linkReferences(spaced(part.content), budget) : spaced(textOf(part)));
    }
    if (token.content) line.push(" ");
  }
  return line;
}

/** The text on one line, with its links and the tasks that it names. */
export function PlainWithLinks(/** @type {{ text: string }} */ { text }) {
  const tokens = useTokens(text);
  const newestId = useStore(newestTask);
  const line = useMemo(() => tokens && lineOf(tokens, new Budget(newestId)), [tokens, newestId]);
  return line ?? onOneLine(text);
}

export function Markdown(/** @type {{ text: string }} */ { text }) {
  const tokens = useTokens(text);
  const newestId = useStore(newestTask);
  const nodes = useMemo(() => tokens && nodesOf(withHeadingLevels(tokens), new Budget(newestId)), [tokens, newestId]);
  return html`<div class="markdown" key=${text}>
    ${nodes ?? html`<p class="lines" ref=${autoDirection}>${text}</p>`}
  </div>`;
}
