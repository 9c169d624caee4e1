// Fits a bar into its width by measuring, because fonts and text sizes differ between browsers.
import { useLayoutEffect } from "../core/html.js";

const TOLERANCE = 0.5;

/** Set `data-fit` to the first of `steps` that `fits`, or to the last one. */
/** @param {HTMLElement} element @param {string[]} steps @param {(element: HTMLElement) => boolean} fits */
function choose(element, steps, fits) {
  for (const step of steps) {
    if (element.dataset.fit !== step) element.dataset.fit = step;
    if (fits(element)) return;
  }
}

const box = (/** @type {Element} */ element) => element.getBoundingClientRect();
const shown = (/** @type {Element} */ element) => box(element).width > 0;

/** Return whether all children are within the content box, and those that match `inRow` are on one line. */
export function childrenFit(/** @type {HTMLElement} */ element, /** @type {string} */ inRow) {
  const style = getComputedStyle(element);
  const end = box(element).right - parseFloat(style.paddingInlineEnd) + TOLERANCE;
  const children = [...element.children].filter(shown);
  const row = children.filter((child) => child.matches(inRow)).map(box);
  const oneLine = row.every((place) => place.top < row[0].bottom && place.bottom > row[0].top);
  return oneLine && children.every((child) => box(child).right <= end && child.scrollWidth <= child.clientWidth + 1);
}

/** Fit the element of `ref` again whenever its width, its children or their sizes change. */
/** @param {Ref} ref @param {string[]} steps @param {(element: HTMLElement) => boolean} fits */
export function useFit(ref, steps, fits) {
  useLayoutEffect(() => {
    const element = ref.current;
    const fit = () => choose(element, steps, fits);
    let waiting = 0;
    // Wait for the next frame: changing sizes inside a ResizeObserver callback is an error.
    const later = () => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(fit);
    };
    const sizes = new ResizeObserver(later);
    const watch = () => [element, ...element.children].forEach((part) => sizes.observe(part));
    const parts = new MutationObserver(watch);
    watch();
    parts.observe(element, { childList: true });
    addEventListener("resize", fit);
    fit();
    return () => {
      cancelAnimationFrame(waiting);
      sizes.disconnect();
      parts.disconnect();
      removeEventListener("resize", fit);
    };
  }, []);
}
