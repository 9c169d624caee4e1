// The banner of a demo, while its agents work.
import { html, useEffect, useState } from "../../core/html.js";
import { isOperator } from "../../core/vocabulary.js";
import { demoProject, demoTimeLeft, stopDemo } from "../../state/demo.js";
import { follow, hrefOf } from "../../state/route.js";
import { useStore } from "../../state/store.js";
import { Icon } from "../../ui/icons.js";

export function DemoBanner() {
  useStore((now) => now.revision.plans);
  const operator = useStore((now) => isOperator(now.session));
  const [, setEnded] = useState(0);
  const project = useStore(demoProject);
  const left = project ? demoTimeLeft(project) : 0;
  const isRunning = left > 0;
  useEffect(() => {
    if (!isRunning) return undefined;
    const timer = setTimeout(() => setEnded((times) => times + 1), left);
    return () => clearTimeout(timer);
  }, [project?.id, isRunning]);
  if (!project || !isRunning) return null;
  const changes = { view: "board", project: project.id, epic: null };
  return html`<div class="banner demo" data-testid="demo">
    <${Icon} name="play" />
    <span>
      Scripted agents work on <a href=${hrefOf(changes)}
          onClick=${(/** @type {MouseEvent} */ event) => follow(event, changes)}><bdi>${project.name}</bdi></a> for five
      minutes.<span class="demo-more"> You can answer, review, pause and move their tasks.</span>
    </span>
    ${operator && html`<button type="button" class="small" onClick=${() => stopDemo(project)} data-testid="stop-demo">
      Stop and delete the demo
    </button>`}
  </div>`;
}
