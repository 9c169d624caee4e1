// The Markdown parser, loaded on first use: CommonMark with tables, strikethrough and bare addresses.
import { useEffect, useMemo, useState } from "../core/html.js";

const LINKED = /^(?:https?:|mailto:)/i;
const TICK = /^\[([ xX])\]\s+/;
const DEEPEST = 100;

/** @type {import("markdown-it").MarkdownIt | null} */
let parser = null;
/** @type {Promise<void> | null} */
let loading = null;

function configured(/** @type {typeof import("markdown-it").default} */ MarkdownIt) {
  const markdown = new MarkdownIt({ html: false, linkify: true, maxNesting: DEEPEST });
  markdown.validateLink = (address) => LINKED.test(address);
  markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
  // Escaped characters stay separate tokens, so that `\#12` is no reference to a task.
  markdown.disable("text_join");
  return markdown;
}

/** Move the box of a task list item, `[ ]` or `[x]`, from its text to `meta.done` of its token. */
function markTicks(/** @type {Token[]} */ tokens) {
  tokens.forEach((token, at) => {
    if (token.type !== "list_item_open" || tokens[at + 2]?.type !== "inline") return;
    const text = tokens[at + 2].children?.[0];
    const box = text?.type === "text" && TICK.exec(text.content);
    if (!box) return;
    text.content = text.content.slice(box[0].length);
    token.meta = { done: box[1] !== " " };
  });
  return tokens;
}

/** Load the parser once. After a failure, the next call tries again. */
export function loadParser() {
  loading ??= import("../vendor/markdown-it.js").then(
    (module) => {
      parser = configured(module.default);
    },
    (error) => {
      loading = null;
      throw error;
    },
  );
  return loading;
}

/** Return the tokens of a text, or null if it is nested too deeply for the parser. */
function tokensOf(/** @type {string} */ text) {
  /** @type {Token[]} */
  const tokens = parser?.parse(text, {}) ?? [];
  return tokens.some((token) => token.level >= DEEPEST - 1) ? null : markTicks(tokens);
}

/** Return the tokens of a text, or null while the parser loads or if the text is nested too deeply. */
export function useTokens(/** @type {string} */ text) {
  const [ready, setReady] = useState(parser !== null);
  useEffect(() => {
    let here = true;
    if (!ready) loadParser().then(() => here && setReady(true), () => {});
    return () => {
      here = false;
    };
  }, [ready]);
  return useMemo(() => (ready ? tokensOf(text) : null), [ready, text]);
}
