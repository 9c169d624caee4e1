// The drawing of several connected parts: each has a layout of its own, and they are packed to the shape of the window.
import { BOX, layout } from "./layout.js";

const GAP = 36;

/** Return the connected parts of the tasks, in the order of their first tasks. */
export function partsOf(/** @type {Task[]} */ tasks) {
  const byId = new Map(tasks.map((task) => [task.id, task]));
  /** @type {Map<number, number[]>} */
  const near = new Map(tasks.map((task) => [task.id, []]));
  for (const task of tasks) {
    for (const id of task.depends_on) {
      near.get(id)?.push(task.id);
      if (byId.has(id)) near.get(task.id)?.push(id);
    }
  }
  const seen = new Set();
  const isNew = (/** @type {number} */ id) => !seen.has(id) && seen.add(id);
  const parts = [];
  for (const { id: start } of tasks) {
    const found = [start].filter(isNew);
    for (let at = 0; at < found.length; at += 1) found.push(...(near.get(found[at]) ?? []).filter(isNew));
    if (found.length) parts.push(found.map((id) => /** @type {Task} */ (byId.get(id))));
  }
  return parts;
}

/**
 * Return the place of each box in an area of this width. In turn, each is as high as possible, then as far left.
 * The outline has the free height below each stretch of the width.
 */
function placed(/** @type {Size[]} */ boxes, /** @type {number} */ width) {
  let outline = [{ x: 0, y: 0 }];
  return boxes.map((box) => {
    let best = { x: 0, y: Infinity };
    for (const { x } of outline) {
      const under = outline.filter((edge, at) =>
        edge.x < x + box.width && (outline[at + 1]?.x ?? Infinity) > x);
      const y = Math.max(...under.map((edge) => edge.y));
      if (y < best.y && (x === 0 || x + box.width <= width)) best = { x, y };
    }
    const end = best.x + box.width + GAP;
    const after = outline.filter((edge) => edge.x <= end).at(-1)?.y ?? 0;
    outline = [
      ...outline.filter((edge) => edge.x < best.x),
      { x: best.x, y: best.y + box.height + GAP },
      { x: end, y: after },
      ...outline.filter((edge) => edge.x > end),
    ];
    return best;
  });
}

const extent = (/** @type {Size[]} */ boxes, /** @type {{ x: number, y: number }[]} */ places) => ({
  width: Math.max(...places.map(({ x }, at) => x + boxes[at].width)),
  height: Math.max(...places.map(({ y }, at) => y + boxes[at].height)),
});

/** Return the places with which the whole drawing is largest in a window of this shape (width by height). */
function packed(/** @type {Size[]} */ boxes, /** @type {number} */ shape) {
  const widest = Math.max(...boxes.map(({ width }) => width));
  const area = boxes.reduce((sum, { width, height }) => sum + (width + GAP) * (height + GAP), 0);
  const ideal = Math.sqrt(area * shape);
  const tries = [0.8, 1, 1.2, 1.5].map((factor) => placed(boxes, Math.max(widest, ideal * factor)));
  const scale = (/** @type {{ x: number, y: number }[]} */ places) => {
    const { width, height } = extent(boxes, places);
    return Math.max(width / shape, height);
  };
  return tries.reduce((best, next) => (scale(next) < scale(best) ? next : best));
}

/** @type {GraphLayout} */
const NOTHING = { nodes: [], edges: [], width: 0, height: 0, beginning: 0, longest: new Set() };

/**
 * Return the layout of all tasks. `weight` orders the parts, the largest first. Only the part with the longest chain
 * marks it.
 * @param {Task[]} tasks @param {number} shape @param {(part: Task[]) => number} weight @returns {GraphLayout}
 */
export function packedLayout(tasks, shape, weight) {
  const parts = partsOf(tasks).sort((a, b) => weight(b) - weight(a));
  if (parts.length === 0) return NOTHING;
  const drawings = parts.map(layout);
  const places = packed(drawings, shape);
  const chain = drawings.reduce((best, next) => (next.longest.size > best.longest.size ? next : best));
  const nodes = drawings.flatMap((drawing, at) =>
    drawing.nodes.map((node) => ({ ...node, x: node.x + places[at].x, y: node.y + places[at].y })));
  const edges = drawings.flatMap((drawing, at) => drawing.edges.map((edge) => ({
    ...edge,
    longest: edge.longest && drawing === chain,
    points: edge.points.map(([x, y]) => [x + places[at].x, y + places[at].y]),
  })));
  return {
    nodes,
    edges,
    ...extent(drawings, places),
    beginning: places[0].y + Math.min(drawings[0].beginning, drawings[0].height - BOX.height / 2),
    longest: chain.longest,
  };
}
