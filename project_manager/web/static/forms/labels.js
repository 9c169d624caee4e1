// Labels as one line of text. A label that contains a comma is quoted, as in CSV.

// A quoted label, or the text up to the next comma. An unclosed quote is part of the label.
const LABEL = /\s*(?:"((?:[^"]|"")*)"\s*(?=,|$)|([^,]*))(?:,|$)/y;

const quoted = (/** @type {string} */ label) =>
  (label.includes(",") || label.startsWith('"') ? `"${label.replaceAll('"', '""')}"` : label);

export const labelsText = (/** @type {string[]} */ labels) => labels.map(quoted).join(", ");

/** Return the labels in `text` without duplicates. `labelsOf(labelsText(labels))` returns the same labels. */
export function labelsOf(/** @type {string} */ text) {
  const found = new Set();
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const [, quotedLabel, plainLabel] = LABEL.exec(text) ?? [];
    const label = (quotedLabel?.replaceAll('""', '"') ?? plainLabel).trim();
    if (label) found.add(label);
  }
  return [...found];
}
