// Adapter of the view library.
import { Fragment, h, options, render } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export { Fragment, render };
export {
  useCallback, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useRef, useState,
} from "../vendor/hooks.js";
export const html = htm.bind(h);

/** Run `act` and render its changes before returning, so that the next key press meets the new page. */
export function atOnce(act) {
  const before = options.debounceRendering;
  options.debounceRendering = (work) => work();
  try {
    act();
  } finally {
    options.debounceRendering = before;
  }
}

/** Return class names from a list that may contain falsy entries. */
export const cx = (...names) => names.filter(Boolean).join(" ");

/** Return a component that renders again only when one of its properties changes. */
export function memo(view) {
  return function Memo(properties) {
    this.shouldComponentUpdate = (next) => {
      const names = new Set([...Object.keys(next), ...Object.keys(this.props)]);
      return [...names].some((name) => name !== "children" && !Object.is(next[name], this.props[name]));
    };
    return h(view, properties);
  };
}
