// Adapter of the view library.
import htm from "../vendor/htm.js";
import { useLayoutEffect } from "../vendor/hooks.js";
import { Fragment, h, options, render } from "../vendor/preact.js";
import { withoutOverrides } from "./format.js";

export { Fragment, render };
export {
  useCallback, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useRef, useState,
} from "../vendor/hooks.js";
export const html = htm.bind(h);

const TEXT_ATTRIBUTES = ["title", "aria-label", "aria-valuetext"];

/** Keep overrides of direction out of each text on the page. The values of inputs stay as they are. */
options.vnode = (/** @type {any} */ vnode) => {
  if (typeof vnode.props === "string") vnode.props = withoutOverrides(vnode.props);
  else if (typeof vnode.type === "string") {
    for (const name of TEXT_ATTRIBUTES) {
      const text = vnode.props[name];
      if (typeof text === "string") vnode.props[name] = withoutOverrides(text);
    }
  }
};

/** Run `act` and render its changes before returning, so that the next key press meets the new page. */
export function atOnce(/** @type {() => void} */ act) {
  const before = options.debounceRendering;
  options.debounceRendering = (work) => work();
  try {
    act();
  } finally {
    options.debounceRendering = before;
  }
}

/**
 * Call `measure` with the element now, at each scroll, and when its size or the size of one of `parts` changes.
 * @param {Ref} ref @param {(element: any) => void} measure @param {(element: any) => Iterable<Element>} [parts]
 */
export function useSizes(ref, measure, parts = () => []) {
  useLayoutEffect(() => {
    const element = ref.current;
    const act = () => measure(element);
    const sizes = new ResizeObserver(act);
    for (const part of [element, ...parts(element)]) sizes.observe(part);
    element.addEventListener("scroll", act, { passive: true });
    act();
    return () => {
      sizes.disconnect();
      element.removeEventListener("scroll", act);
    };
  }, []);
}

export const focusedElement = () => /** @type {HTMLElement | null} */ (document.activeElement);

/** Return class names from a list that may contain falsy entries. */
export const cx = (/** @type {Array<string | false | null | undefined>} */ ...names) => names.filter(Boolean).join(" ");

/** Return a component that renders again only when one of its properties changes. */
export function memo(/** @type {import("preact").FunctionComponent<any>} */ view) {
  /** @this {import("preact").Component} */
  return function Memo(/** @type {Record<string, any>} */ properties) {
    this.shouldComponentUpdate = (/** @type {Record<string, any>} */ next) => {
      const shown = /** @type {Record<string, any>} */ (this.props);
      const names = new Set([...Object.keys(next), ...Object.keys(shown)]);
      return [...names].some((name) => name !== "children" && !Object.is(next[name], shown[name]));
    };
    return h(view, properties);
  };
}
