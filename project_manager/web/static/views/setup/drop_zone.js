// A file dropped anywhere on the page opens the import.
import { html, useEffect, useState } from "../../core/html.js";
import { isOperator } from "../../core/vocabulary.js";
import { openImport } from "../../state/plans.js";
import { state } from "../../state/store.js";
import { Icon } from "../../ui/icons.js";

const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
const accepts = () => isOperator(state.session) && state.loaded && state.dialogs.length === 0;

export function DropZone() {
  const [over, setOver] = useState(false);
  useEffect(() => {
    // Without `preventDefault`, the browser would leave the page and show the file.
    const onDragOver = (/** @type {DragEvent} */ event) => {
      if (!hasFiles(event) || event.defaultPrevented || !event.dataTransfer) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = accepts() ? "copy" : "none";
      setOver(accepts());
    };
    const onDragLeave = (/** @type {DragEvent} */ event) => event.relatedTarget === null && setOver(false);
    const onDrop = (/** @type {DragEvent} */ event) => {
      if (!hasFiles(event) || event.defaultPrevented) return;
      event.preventDefault();
      setOver(false);
      if (accepts()) openImport(event.dataTransfer?.files[0] ?? null);
    };
    addEventListener("dragover", onDragOver);
    addEventListener("dragleave", onDragLeave);
    addEventListener("drop", onDrop);
    return () => {
      removeEventListener("dragover", onDragOver);
      removeEventListener("dragleave", onDragLeave);
      removeEventListener("drop", onDrop);
    };
  }, []);
  return over && html`<div class="drop-zone" data-testid="drop-zone"><p>
    <${Icon} name="import" />Drop a plan to see what it would change
  </p></div>`;
}
