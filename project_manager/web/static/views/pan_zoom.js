// Moving about in a drawing by mouse, wheel, touch or keys.
import { useEffect, useLayoutEffect, useRef, useState } from "../core/html.js";

const MARGIN = 24;
const STEP = 60;
const READABLE = 1.6;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Everything if it stays readable, else its beginning at natural size. */
function fitted(drawing, frame) {
  const width = frame?.clientWidth || 1000;
  const height = frame?.clientHeight || 600;
  const whole = Math.max((drawing.width + 2 * MARGIN) / width, (drawing.height + 2 * MARGIN) / height);
  const scale = whole > READABLE ? 1.2 : Math.max(1, whole);
  const box = { width: width * scale, height: height * scale };
  const x = drawing.width + 2 * MARGIN > box.width ? -MARGIN : (drawing.width - box.width) / 2;
  const y = drawing.height + 2 * MARGIN > box.height ? drawing.beginning - box.height / 2 : (drawing.height - box.height) / 2;
  return { x, y, ...box };
}

function zoomed(view, factor, atX = 0.5, atY = 0.5) {
  const width = view.width * factor;
  const height = view.height * factor;
  return { x: view.x + (view.width - width) * atX, y: view.y + (view.height - height) * atY, width, height };
}

/** Another frame on the same place at the same scale: opening a task beside it must not lose where one was. */
function resized(view, factor, element) {
  const width = view.width * factor;
  return { x: view.x, y: view.y, width, height: (width * element.clientHeight) / Math.max(1, element.clientWidth) };
}

export function usePanZoom(frame, drawing, fitKey) {
  const [view, setView] = useState(() => fitted(drawing, null));
  const drag = useRef(null);
  const fit = () => setView(fitted(drawing, frame.current));
  const zoom = (factor, x, y) => setView((old) => (old.width * factor < 200 || old.width * factor > 40_000 ? old : zoomed(old, factor, x, y)));
  useLayoutEffect(fit, [fitKey]);
  useEffect(() => {
    const element = frame.current;
    let width = element.clientWidth;
    const sizes = new ResizeObserver(() => {
      const before = width;
      width = element.clientWidth;
      if (before !== width) setView((old) => resized(old, width / Math.max(1, before), element));
    });
    sizes.observe(element);
    const wheel = (event) => {
      event.preventDefault();
      const area = element.getBoundingClientRect();
      const pinch = event.ctrlKey || event.metaKey;
      if (pinch) zoom(event.deltaY > 0 ? 1.1 : 0.9, (event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height);
      else setView((old) => ({ ...old, x: old.x + (event.deltaX * old.width) / area.width, y: old.y + (event.deltaY * old.width) / area.width }));
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => {
      sizes.disconnect();
      element.removeEventListener("wheel", wheel);
    };
  }, []);
  const handlers = {
    onPointerDown: (event) => {
      if (event.button === 0) drag.current = { x: event.clientX, y: event.clientY, moved: false };
    },
    onPointerMove: (event) => {
      if (!drag.current || !(event.buttons & 1)) return;
      const dx = event.clientX - drag.current.x;
      const dy = event.clientY - drag.current.y;
      if (!drag.current.moved && Math.abs(dx) + Math.abs(dy) < 4) return;
      drag.current = { x: event.clientX, y: event.clientY, moved: true };
      setView((old) => ({ ...old, x: old.x - (dx * old.width) / frame.current.clientWidth, y: old.y - (dy * old.width) / frame.current.clientWidth }));
    },
    onClickCapture: (event) => {
      if (drag.current?.moved) event.preventDefault();
      drag.current = null;
    },
    onDragStart: (event) => event.preventDefault(),
    onKeyDown: (event) => {
      const direction = KEYS[event.key];
      if (direction) setView((old) => ({ ...old, x: old.x + direction[0] * STEP, y: old.y + direction[1] * STEP }));
      else if (event.key === "+" || event.key === "=") zoom(0.8);
      else if (event.key === "-") zoom(1.25);
      else if (event.key === "0") fit();
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
  };
  return { viewBox: `${view.x} ${view.y} ${view.width} ${view.height}`, handlers, zoom, fit };
}
