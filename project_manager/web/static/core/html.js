// The one place that knows which view library is used.
import { Fragment, h, options, render } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export { Fragment, render };
export { useCallback, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
export const html = htm.bind(h);

/** Renders what `act` changes before it returns: the next key that is pressed must find it there. */
export function atOnce(act) {
  const before = options.debounceRendering;
  options.debounceRendering = (work) => work();
  try {
    act();
  } finally {
    options.debounceRendering = before;
  }
}

/** Class names from a list that may contain falsy entries. */
export const cx = (...names) => names.filter(Boolean).join(" ");

/** A view that renders again only when one of its properties is another value. */
export function memo(view) {
  return function Memo(properties) {
    this.shouldComponentUpdate = (next) => {
      const names = new Set([...Object.keys(next), ...Object.keys(this.props)]);
      return [...names].some((name) => name !== "children" && !Object.is(next[name], this.props[name]));
    };
    return h(view, properties);
  };
}
