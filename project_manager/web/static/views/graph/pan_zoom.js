// Panning and zooming a drawing by mouse, wheel, touch or keys.
import { useEffect, useLayoutEffect, useRef, useSizes, useState } from "../../core/html.js";
import { keyOf, onKeys } from "../../core/keyboard.js";

const MARGIN = 24;
const STEP = 60;
const READABLE = 2.2;
const OPENING = 1.2;
/** Drawing units per pixel above which parts are too small to press one by one (WCAG 2.5.8). */
const FARTHEST = 2.4;
/** @type {Record<string, number[]>} */
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Return the start of a window on one axis: centred if all fits, else near `preferred` within the ends. */
function placed(/** @type {number} */ size, /** @type {number} */ window, /** @type {number} */ preferred) {
  if (size + 2 * MARGIN <= window) return (size - window) / 2;
  return Math.max(-MARGIN, Math.min(preferred, size + MARGIN - window));
}

/** Return a view of the whole drawing. With `readable`, a view that would be too small starts at its beginning. */
function fitted(/** @type {GraphLayout} */ drawing, /** @type {Element | null} */ frame, readable = true) {
  const width = frame?.clientWidth || 1000;
  const height = frame?.clientHeight || 600;
  const whole = Math.max(1, (drawing.width + 2 * MARGIN) / width, (drawing.height + 2 * MARGIN) / height);
  const scale = readable && whole > READABLE ? OPENING : whole;
  const box = { width: width * scale, height: height * scale };
  return {
    x: placed(drawing.width, box.width, -MARGIN),
    y: placed(drawing.height, box.height, drawing.beginning - box.height / 2),
    ...box,
  };
}

function zoomed(/** @type {ViewBox} */ view, /** @type {number} */ factor, /** @type {[number, number]} */ [atX, atY]) {
  const width = view.width * factor;
  const height = view.height * factor;
  return { x: view.x + (view.width - width) * atX, y: view.y + (view.height - height) * atY, width, height };
}

const panned = (/** @type {ViewBox} */ view, /** @type {number} */ dx, /** @type {number} */ dy) =>
  ({ ...view, x: view.x + dx, y: view.y + dy });

/** Resize the frame at the same place and scale, so that opening a task beside it keeps the position. */
function resized(/** @type {ViewBox} */ view, /** @type {Size} */ before, /** @type {Size} */ after) {
  const width = (view.width * after.width) / Math.max(1, before.width);
  return { x: view.x, y: view.y, width, height: (width * after.height) / Math.max(1, after.width) };
}

const sizeOf = (/** @type {HTMLElement} */ element) => ({ width: element.clientWidth, height: element.clientHeight });

/** Return the place of the pointer in the area, as shares of its width and height. */
function placeOf(/** @type {MouseEvent} */ { clientX, clientY }, /** @type {DOMRect} */ area) {
  return /** @type {[number, number]} */ ([(clientX - area.left) / area.width, (clientY - area.top) / area.height]);
}

/** Call `onResize` with the sizes before and after each change. */
function useResize(/** @type {Ref} */ frame, /** @type {(before: Size, after: Size) => void} */ onResize) {
  const known = useRef(/** @type {Size | null} */ (null));
  useSizes(frame, (element) => {
    const size = sizeOf(element);
    const before = known.current ?? size;
    known.current = size;
    if (before.width !== size.width || before.height !== size.height) onResize(before, size);
  });
}

/** Pan by wheel, and zoom by pinching or with Ctrl. */
function useWheel(/** @type {Ref} */ frame, /** @type {PanZoom} */ { move, zoom }) {
  useEffect(() => {
    const element = frame.current;
    const onWheel = (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      const area = element.getBoundingClientRect();
      if (event.ctrlKey || event.metaKey) zoom(event.deltaY > 0 ? 1.1 : 0.9, placeOf(event, area));
      else move((old) => panned(old, (event.deltaX * old.width) / area.width, (event.deltaY * old.width) / area.width));
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, []);
}

/** Return handlers that pan by dragging. The click that ends a drag follows no link. */
function useDrag(/** @type {Ref} */ frame, /** @type {Pick<PanZoom, "move" | "touch">} */ { move, touch }) {
  const drag = useRef(/** @type {{ x: number, y: number, moved: boolean } | null} */ (null));
  return {
    onPointerDown: (/** @type {PointerEvent} */ event) => {
      touch();
      if (event.button === 0) drag.current = { x: event.clientX, y: event.clientY, moved: false };
    },
    onPointerMove: (/** @type {PointerEvent} */ event) => {
      if (!drag.current || !(event.buttons & 1)) return;
      const dx = event.clientX - drag.current.x;
      const dy = event.clientY - drag.current.y;
      if (!drag.current.moved && Math.abs(dx) + Math.abs(dy) < 4) return;
      drag.current = { x: event.clientX, y: event.clientY, moved: true };
      const pixels = frame.current.clientWidth;
      move((old) => panned(old, (-dx * old.width) / pixels, (-dy * old.width) / pixels));
    },
    onClickCapture: (/** @type {MouseEvent} */ event) => {
      if (drag.current?.moved) event.preventDefault();
      drag.current = null;
    },
    onDragStart: (/** @type {DragEvent} */ event) => event.preventDefault(),
  };
}

const onPanZoomKey = (/** @type {PanZoom} */ { move, zoom, fit }) => onKeys((event) => {
  const key = keyOf(event);
  const direction = KEYS[key];
  if (direction) move((old) => panned(old, direction[0] * STEP, direction[1] * STEP));
  else if (key === "+" || key === "=") zoom(0.8);
  else if (key === "-") zoom(1.25);
  else if (key === "0") fit();
  else return;
  event.preventDefault();
  event.stopPropagation();
});

/** Whether the key press belongs to a field of text. */
const isText = (/** @type {any} */ { tagName, type }) =>
  tagName === "TEXTAREA" || (tagName === "INPUT" && type !== "checkbox");

/** Fit at `0` wherever the focus is on the page, as after the choice of a project. */
function useFitKey(/** @type {() => void} */ fit) {
  const latest = useRef(fit);
  latest.current = fit;
  useEffect(() => {
    const onKeyDown = onKeys((event) => {
      const modified = event.ctrlKey || event.metaKey || event.altKey;
      if (keyOf(event) !== "0" || modified || event.defaultPrevented || isText(event.target)) return;
      if (event.target.closest?.("dialog")) return;
      event.preventDefault();
      latest.current();
    });
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, []);
}

export function usePanZoom(/** @type {Ref} */ frame, /** @type {GraphLayout} */ drawing, /** @type {string} */ fitKey) {
  const [view, setView] = useState(() => fitted(drawing, null));
  // Once the user has moved the view, a resize keeps its place.
  const touched = useRef(false);
  const latest = useRef(drawing);
  latest.current = drawing;
  const open = () => setView(fitted(latest.current, frame.current));
  const touch = () => {
    touched.current = true;
  };
  const move = (/** @type {ViewBox | ((old: ViewBox) => ViewBox)} */ change) => {
    touch();
    setView(change);
  };
  const fit = () => move(fitted(drawing, frame.current, false));
  const zoom = (/** @type {number} */ factor, /** @type {[number, number]} */ place = [0.5, 0.5]) =>
    move((old) => (old.width * factor < 200 || old.width * factor > 40_000 ? old : zoomed(old, factor, place)));
  /** Show a place of the drawing in the middle, large enough to read. */
  const go = (/** @type {number} */ x, /** @type {number} */ y) => move((old) => {
    const { clientWidth, clientHeight } = frame.current;
    const scale = Math.min(old.width / Math.max(1, clientWidth), OPENING);
    const [width, height] = [clientWidth * scale, clientHeight * scale];
    return { x: x - width / 2, y: y - height / 2, width, height };
  });
  useLayoutEffect(() => {
    touched.current = false;
    open();
  }, [fitKey]);
  useResize(frame, (before, after) => (touched.current ? setView((old) => resized(old, before, after)) : open()));
  useFitKey(fit);
  useWheel(frame, { touch, move, zoom, fit });
  const far = view.width / (frame.current?.clientWidth || 1000) > FARTHEST;
  /** Zoom from an overview to the place of the press. */
  const onClick = (/** @type {MouseEvent} */ event) => {
    if (!far || event.defaultPrevented) return;
    const area = frame.current.getBoundingClientRect();
    zoom((OPENING * area.width) / view.width, placeOf(event, area));
  };
  const onKeyDown = onPanZoomKey({ touch, move, zoom, fit });
  const handlers = { onClick, onKeyDown, ...useDrag(frame, { touch, move }) };
  return { viewBox: `${view.x} ${view.y} ${view.width} ${view.height}`, handlers, zoom, fit, go, far };
}
