// The difference between two texts, by words or by lines. The time is that of a sort of the tokens, and the number of
// tokens is bounded.

/** Above this number of words and spaces the difference is by lines. Later lines become one token. */
const MOST_TOKENS = 6000;
/** Equal tokens that stay visible beside a difference. */
const CONTEXT = { words: 16, lines: 1 };
const WORD = /[\p{L}\p{M}\p{N}_]+|\s+|[^\s\p{L}\p{M}\p{N}_]+/gu;
const LINE = /[^\n]*\n|[^\n]+$/g;

/** Return the first tokens of the text, and the rest as one. */
function tokensOf(/** @type {string} */ text, /** @type {RegExp} */ kind) {
  const tokens = [];
  let length = 0;
  for (const [token] of text.matchAll(kind)) {
    if (tokens.length === MOST_TOKENS) return [...tokens, text.slice(length)];
    tokens.push(token);
    length += token.length;
  }
  return tokens;
}

/** Return the place of each token that occurs once in the range. */
function uniquePlaces(/** @type {string[]} */ tokens, /** @type {number} */ from, /** @type {number} */ to) {
  const places = new Map();
  for (let at = from; at < to; at += 1) places.set(tokens[at], places.has(tokens[at]) ? -1 : at);
  return places;
}

/** Return the longest sequence of pairs in which both places rise. The first places of `pairs` rise already. */
function rising(/** @type {[number, number][]} */ pairs) {
  /** @type {number[]} Index of the last pair of the best sequence by length. */
  const tails = [];
  const before = new Int32Array(pairs.length);
  pairs.forEach(([, place], index) => {
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (pairs[tails[middle]][1] < place) low = middle + 1;
      else high = middle;
    }
    before[index] = low ? tails[low - 1] : -1;
    tails[low] = index;
  });
  const found = [];
  for (let index = tails.at(-1) ?? -1; index >= 0; index = before[index]) found.push(pairs[index]);
  return found.reverse();
}

/** Return the pairs of places of equal tokens: the common beginning, end, and the unique tokens between them. */
function matches(/** @type {string[]} */ old, /** @type {string[]} */ now) {
  /** @type {[number, number][]} */
  const pairs = [];
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) {
    pairs.push([start, start]);
    start += 1;
  }
  let [oldEnd, nowEnd] = [old.length, now.length];
  /** @type {[number, number][]} */
  const ending = [];
  while (oldEnd > start && nowEnd > start && old[oldEnd - 1] === now[nowEnd - 1]) {
    oldEnd -= 1;
    nowEnd -= 1;
    ending.push([oldEnd, nowEnd]);
  }
  const places = uniquePlaces(now, start, nowEnd);
  /** @type {[number, number][]} */
  const unique = [];
  for (const [token, at] of uniquePlaces(old, start, oldEnd)) {
    const place = places.get(token) ?? -1;
    if (at >= 0 && place >= 0) unique.push([at, place]);
  }
  unique.sort((a, b) => a[0] - b[0]);
  return [...pairs, ...widened(rising(unique), old, now, [start, start], [oldEnd, nowEnd]), ...ending.reverse()];
}

/**
 * Add the equal neighbours of each pair, up to the next pair.
 * @param {[number, number][]} anchors @param {string[]} old @param {string[]} now
 * @param {[number, number]} from @param {[number, number]} to
 */
function widened(anchors, old, now, from, to) {
  /** @type {[number, number][]} */
  const found = [];
  let [a, b] = from;
  for (const [x, y] of [...anchors, to]) {
    // Forward from the last pair, then backward from this one.
    while (a < x && b < y && old[a] === now[b]) found.push([a++, b++]);
    let back = 0;
    while (x - back > a && y - back > b && old[x - back - 1] === now[y - back - 1]) back += 1;
    for (; back > 0; back -= 1) found.push([x - back, y - back]);
    if (x < to[0] || y < to[1]) found.push([x, y]);
    [a, b] = [x + 1, y + 1];
  }
  return found;
}

/**
 * Return the text of equal tokens, with its middle left out if they are many. `first` and `last` are whether no
 * difference is before or after them.
 * @param {string[]} tokens @param {number} context @param {boolean[]} place
 */
function shortened(tokens, context, [first, last]) {
  const [head, tail] = [first ? 0 : context, last ? 0 : context];
  if (tokens.length <= head + tail + 2) return tokens.join("");
  const end = tail ? tokens.slice(-tail).join("") : "";
  return `${tokens.slice(0, head).join("")}… ${end}`;
}

/**
 * Return the parts of the difference as [kind, text], where the kind is "same", "gone" or "new". Equal texts have one
 * part. Long equal parts are shortened.
 * @param {string} before @param {string} after @returns {[kind: "same" | "gone" | "new", text: string][]}
 */
export function differenceOf(before, after) {
  if (before === after) return [["same", after]];
  let [old, now] = [tokensOf(before, WORD), tokensOf(after, WORD)];
  const byLines = Math.max(old.length, now.length) > MOST_TOKENS;
  if (byLines) [old, now] = [tokensOf(before, LINE), tokensOf(after, LINE)];
  const context = byLines ? CONTEXT.lines : CONTEXT.words;
  /** @type {[kind: "same" | "gone" | "new", text: string][]} */
  const parts = [];
  let [a, b] = [0, 0];
  /** @type {string[]} */
  let same = [];
  const close = (/** @type {boolean} */ isLast) => {
    if (same.length) parts.push(["same", shortened(same, context, [parts.length === 0, isLast])]);
    same = [];
  };
  for (const [x, y] of [...matches(old, now), [old.length, now.length]]) {
    if (a < x || b < y) close(false);
    if (a < x) parts.push(["gone", old.slice(a, x).join("")]);
    if (b < y) parts.push(["new", now.slice(b, y).join("")]);
    if (x < old.length) same.push(old[x]);
    [a, b] = [x + 1, y + 1];
  }
  close(true);
  return parts;
}
