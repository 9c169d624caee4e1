// Labels as one line of text, and back. A label that contains a comma is quoted, as in CSV.

// A quoted label, or everything up to the next comma. An opening quote without its closing one is a part of the label.
const LABEL = /\s*(?:"((?:[^"]|"")*)"\s*(?=,|$)|([^,]*))(?:,|$)/y;

const quoted = (label) => (label.includes(",") || label.startsWith('"') ? `"${label.replaceAll('"', '""')}"` : label);

export const labelsText = (labels) => labels.map(quoted).join(", ");

/** The labels in `text`, each once. `labelsOf(labelsText(labels))` returns the same labels. */
export function labelsOf(text) {
  const found = new Set();
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const [, quotedLabel, plainLabel] = LABEL.exec(text);
    const label = (quotedLabel?.replaceAll('""', '"') ?? plainLabel).trim();
    if (label) found.add(label);
  }
  return [...found];
}
