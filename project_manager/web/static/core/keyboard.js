// The meaning of a key press, independent of keyboard layout and input method.

const COMPOSING = 229;
const PLACE = /^(?:Key|Digit|Numpad)([A-Z0-9])$/;
const NOT_LATIN = /^(?!\p{Script=Latin})\P{ASCII}/u;
const LETTER_OR_DIGIT = /^[\p{L}\p{M}\p{N}]/u;

/** Wrap a key handler so that keys of an input-method composition never reach it. */
export const onKeys = (/** @type {(event: any) => unknown} */ handler) => (/** @type {any} */ event) => {
  // Safari ends the composition before it sends the key that ended it. Only the key code still shows it.
  if (!event.isComposing && event.keyCode !== COMPOSING) handler(event);
};

/** Return the key. For a letter or digit of another script, return the Latin one at the same position. */
export function keyOf(/** @type {{ key: string, code?: string }} */ { key, code = "" }) {
  const foreign = NOT_LATIN.test(key) && LETTER_OR_DIGIT.test(key);
  return (foreign && PLACE.exec(code)?.[1].toLowerCase()) || key;
}
