// A layered layout of a dependency graph, dependencies on the left. Layers by longest path, crossings reduced by
// medians (Sugiyama, Tagawa, Toda 1981). Long edges bend at placeholders.

const SWEEPS = 6;
export const BOX = { width: 228, height: 46, gapX: 44, gapY: 14 };

/** Return a map that has an entry for each key that is looked up. @template Key, Value */
const total = (/** @type {[Key, Value][]} */ entries) => /** @type {Total<Key, Value>} */ (new Map(entries));

/** Return ids in topological order: every task after its dependencies. The server prevents cycles. */
function topological(/** @type {number[]} */ ids, /** @type {Total<number, number[]>} */ before) {
  const waiting = total(ids.map((id) => [id, before.get(id).length]));
  /** @type {Total<number, number[]>} */
  const after = total(ids.map((id) => [id, []]));
  for (const id of ids) for (const from of before.get(id)) after.get(from).push(id);
  const ready = ids.filter((id) => waiting.get(id) === 0);
  for (let index = 0; index < ready.length; index += 1) {
    for (const next of after.get(ready[index])) {
      waiting.set(next, waiting.get(next) - 1);
      if (waiting.get(next) === 0) ready.push(next);
    }
  }
  return ready;
}

function layersOf(/** @type {number[]} */ order, /** @type {Total<number, number[]>} */ before) {
  const layer = new Map();
  for (const id of order) {
    layer.set(id, before.get(id).reduce((deepest, from) => Math.max(deepest, layer.get(from) + 1), 0));
  }
  return layer;
}

/** Add a placeholder for every edge on each layer that it crosses. */
/** @param {number[]} order @param {Total<number, number[]>} before @param {Total<GraphKey, number>} layer */
function withPlaceholders(order, before, layer) {
  /** @type {GraphKey[][]} */
  const rows = [];
  const up = new Map();
  const down = new Map();
  const add = (/** @type {GraphKey} */ key, /** @type {number} */ level) => {
    (rows[level] ??= []).push(key);
    up.set(key, []);
    down.set(key, []);
  };
  const connect = (/** @type {GraphKey} */ from, /** @type {GraphKey} */ to) => {
    down.get(from).push(to);
    up.get(to).push(from);
  };
  for (const id of order) add(id, layer.get(id));
  const chains = [];
  for (const id of order) {
    for (const from of before.get(id)) {
      /** @type {GraphKey[]} */
      const chain = [from];
      for (let level = layer.get(from) + 1; level < layer.get(id); level += 1) {
        const key = `${from}>${id}@${level}`;
        add(key, level);
        connect(chain[chain.length - 1], key);
        chain.push(key);
      }
      connect(chain[chain.length - 1], id);
      chain.push(id);
      chains.push({ from, to: id, chain });
    }
  }
  return { rows, up, down, chains };
}

function median(/** @type {number[]} */ values) {
  if (values.length === 0) return -1;
  values.sort((a, b) => a - b);
  const middle = values.length >> 1;
  return values.length % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

function sweep(/** @type {GraphKey[][]} */ rows, /** @type {GraphLinks} */ links, /** @type {number[]} */ levels) {
  const place = new Map();
  for (const row of rows) row.forEach((key, index) => place.set(key, index));
  for (const level of levels) {
    const rank = total(rows[level].map((key, index) => {
      const preferred = median(links.get(key).map((other) => place.get(other)));
      return [key, preferred < 0 ? index : preferred];
    }));
    rows[level].sort((a, b) => rank.get(a) - rank.get(b));
    rows[level].forEach((key, index) => place.set(key, index));
  }
}

/** Return vertical positions near the middle of the neighbours, without overlap. */
function verticals(/** @type {GraphKey[][]} */ rows, /** @type {GraphLinks} */ up, /** @type {GraphLinks} */ down) {
  const step = BOX.height + BOX.gapY;
  const slim = BOX.gapY * 1.6;
  const size = (/** @type {GraphKey} */ key) => (typeof key === "string" ? slim : step);
  const y = new Map();
  for (const row of rows) {
    let at = 0;
    for (const key of row) {
      y.set(key, at + size(key) / 2);
      at += size(key);
    }
  }
  const settle = (/** @type {GraphKey[]} */ row, /** @type {GraphLinks} */ links) => {
    let floor = -Infinity;
    for (const key of row) {
      const near = links.get(key).map((other) => y.get(other));
      const preferred = near.length ? near.reduce((sum, value) => sum + value, 0) / near.length : y.get(key);
      const at = Math.max(floor + size(key) / 2, preferred);
      y.set(key, at);
      floor = at + size(key) / 2;
    }
  };
  for (let round = 0; round < 3; round += 1) {
    for (let level = 1; level < rows.length; level += 1) settle(rows[level], up);
    for (let level = rows.length - 2; level >= 0; level -= 1) settle(rows[level], down);
  }
  return y;
}

/** @param {number[]} order @param {Total<number, number[]>} before @param {Total<GraphKey, number>} layer */
function longestPath(order, before, layer) {
  /** @type {number | undefined} */
  let last = order[0];
  for (const id of order) if (layer.get(id) > layer.get(last)) last = id;
  const path = new Set();
  while (last !== undefined) {
    path.add(last);
    /** @type {number} */
    const deepest = layer.get(last) - 1;
    last = before.get(last).find((id) => layer.get(id) === deepest);
  }
  return path;
}

/**
 * Place the tasks of one connected part and their dependencies. Return {nodes: [{id, x, y}],
 * edges: [{from, to, longest, points}], width, height, beginning, longest}. `beginning` is the vertical middle of the
 * first layer, `longest` the set of ids on one longest chain.
 */
export function layout(/** @type {Task[]} */ tasks) {
  const known = new Set(tasks.map((task) => task.id));
  const ids = tasks.map((task) => task.id);
  const before = total(tasks.map((task) => [task.id, task.depends_on.filter((id) => known.has(id))]));
  const order = topological(ids, before);
  if (order.length === 0) return { nodes: [], edges: [], width: 0, height: 0, beginning: 0, longest: new Set() };
  const layer = layersOf(order, before);
  const { rows, up, down, chains } = withPlaceholders(order, before, layer);
  const forward = rows.map((_, level) => level).slice(1);
  const backward = rows.map((_, level) => level).slice(0, -1).reverse();
  for (let round = 0; round < SWEEPS; round += 1) sweep(rows, round % 2 ? down : up, round % 2 ? backward : forward);
  const y = verticals(rows, up, down);
  const top = Math.min(...y.values()) - BOX.height / 2;
  const levelX = (/** @type {number} */ level) => level * (BOX.width + BOX.gapX);
  const nodes = order.map((id) => ({ id, x: levelX(layer.get(id)), y: y.get(id) - BOX.height / 2 - top }));
  const level = new Map();
  rows.forEach((row, index) => row.forEach((key) => level.set(key, index)));
  const longest = longestPath(order, before, layer);
  const edges = chains.map(({ from, to, chain }) => ({
    from, to,
    longest: chain.length === 2 && longest.has(from) && longest.has(to),
    points: chain.map((key, index) => {
      const x = levelX(level.get(key));
      const height = y.get(key) - top;
      if (index === 0) return [[x + BOX.width, height]];
      if (index === chain.length - 1) return [[x, height]];
      return [[x, height], [x + BOX.width, height]];
    }).flat(),
  }));
  return {
    nodes, edges,
    width: levelX(rows.length - 1) + BOX.width,
    height: Math.max(...y.values()) + BOX.height / 2 - top,
    longest,
    beginning: rows[0].reduce((/** @type {number} */ sum, id) => sum + y.get(id), 0) / rows[0].length - top,
  };
}

/** Return the SVG path of a smooth line through the points. */
export function pathOf(/** @type {number[][]} */ points) {
  let path = `M${points[0].join(" ")}`;
  for (let index = 1; index < points.length; index += 1) {
    const [fromX, fromY] = points[index - 1];
    const [x, y] = points[index];
    const bend = (x - fromX) / 2;
    path += fromY === y ? `L${x} ${y}` : `C${fromX + bend} ${fromY} ${x - bend} ${y} ${x} ${y}`;
  }
  return path;
}
