// Panning and zooming a drawing by mouse, wheel, touch or keys.
import { useEffect, useLayoutEffect, useRef, useState } from "../core/html.js";
import { keyOf, onKeys } from "../core/keyboard.js";

const MARGIN = 24;
const STEP = 60;
const READABLE = 2.2;
const OPENING = 1.2;
/** Drawing units per pixel above which parts are too small to press one by one (WCAG 2.5.8). */
const FARTHEST = 2.4;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Return the start of a window on one axis: centred if all fits, else near `preferred` within the ends. */
function placed(size, window, preferred) {
  if (size + 2 * MARGIN <= window) return (size - window) / 2;
  return Math.max(-MARGIN, Math.min(preferred, size + MARGIN - window));
}

/** Return a view of the whole drawing. With `readable`, a view that would be too small starts at its beginning. */
function fitted(drawing, frame, readable) {
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

function zoomed(view, factor, atX = 0.5, atY = 0.5) {
  const width = view.width * factor;
  const height = view.height * factor;
  return { x: view.x + (view.width - width) * atX, y: view.y + (view.height - height) * atY, width, height };
}

/** Resize the frame at the same place and scale, so that opening a task beside it keeps the position. */
function resized(view, before, after) {
  const width = (view.width * after.width) / Math.max(1, before.width);
  return { x: view.x, y: view.y, width, height: (width * after.height) / Math.max(1, after.width) };
}

const sizeOf = (element) => ({ width: element.clientWidth, height: element.clientHeight });

export function usePanZoom(frame, drawing, fitKey) {
  const [view, setView] = useState(() => fitted(drawing, null, true));
  const drag = useRef(null);
  const touched = useRef(false);
  const latest = useRef(drawing);
  latest.current = drawing;
  const move = (change) => {
    touched.current = true;
    setView(change);
  };
  const open = () => setView(fitted(latest.current, frame.current, true));
  const fit = () => move(fitted(drawing, frame.current, false));
  const zoom = (factor, x, y) =>
    move((old) => (old.width * factor < 200 || old.width * factor > 40_000 ? old : zoomed(old, factor, x, y)));
  useLayoutEffect(() => {
    touched.current = false;
    open();
  }, [fitKey]);
  useEffect(() => {
    const element = frame.current;
    let size = sizeOf(element);
    const sizes = new ResizeObserver(() => {
      const before = size;
      size = sizeOf(element);
      if (before.width === size.width && before.height === size.height) return;
      if (touched.current) setView((old) => resized(old, before, size));
      else open();
    });
    sizes.observe(element);
    const wheel = (event) => {
      event.preventDefault();
      const area = element.getBoundingClientRect();
      const pinch = event.ctrlKey || event.metaKey;
      if (pinch) {
        zoom(
          event.deltaY > 0 ? 1.1 : 0.9,
          (event.clientX - area.left) / area.width,
          (event.clientY - area.top) / area.height
        );
      } else {
        move((old) => ({
          ...old,
          x: old.x + (event.deltaX * old.width) / area.width,
          y: old.y + (event.deltaY * old.width) / area.width,
        }));
      }
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => {
      sizes.disconnect();
      element.removeEventListener("wheel", wheel);
    };
  }, []);
  const far = view.width / (frame.current?.clientWidth || 1000) > FARTHEST;
  /** Zoom from an overview to the place of the press. */
  const approach = (event) => {
    if (!far || event.defaultPrevented) return;
    const area = frame.current.getBoundingClientRect();
    zoom(
      (OPENING * area.width) / view.width,
      (event.clientX - area.left) / area.width,
      (event.clientY - area.top) / area.height
    );
  };
  const handlers = {
    onClick: approach,
    onPointerDown: (event) => {
      touched.current = true;
      if (event.button === 0) drag.current = { x: event.clientX, y: event.clientY, moved: false };
    },
    onPointerMove: (event) => {
      if (!drag.current || !(event.buttons & 1)) return;
      const dx = event.clientX - drag.current.x;
      const dy = event.clientY - drag.current.y;
      if (!drag.current.moved && Math.abs(dx) + Math.abs(dy) < 4) return;
      drag.current = { x: event.clientX, y: event.clientY, moved: true };
      move((old) => ({
        ...old,
        x: old.x - (dx * old.width) / frame.current.clientWidth,
        y: old.y - (dy * old.width) / frame.current.clientWidth,
      }));
    },
    onClickCapture: (event) => {
      if (drag.current?.moved) event.preventDefault();
      drag.current = null;
    },
    onDragStart: (event) => event.preventDefault(),
    onKeyDown: onKeys((event) => {
      const key = keyOf(event);
      const direction = KEYS[key];
      if (direction) move((old) => ({ ...old, x: old.x + direction[0] * STEP, y: old.y + direction[1] * STEP }));
      else if (key === "+" || key === "=") zoom(0.8);
      else if (key === "-") zoom(1.25);
      else if (key === "0") fit();
      else return;
      event.preventDefault();
      event.stopPropagation();
    }),
  };
  return { viewBox: `${view.x} ${view.y} ${view.width} ${view.height}`, handlers, zoom, fit, far };
}
