// The settings of desktop notices, and the button that opens them.
import { html, useState } from "../../core/html.js";
import { openDialog } from "../../state/dialogs.js";
import {
  askPermission, noticeSettings, permission, saveNoticeSettings, showNotice, whyUnavailable,
} from "../../state/desktop_notices.js";
import { NOTICE_KINDS } from "../../state/notices.js";
import { Field } from "../../forms/field.js";
import { Dialog } from "../../ui/dialog.js";
import { Icon } from "../../ui/icons.js";

const REFUSED = "This browser shows no notices from a page. The count in the title and in the icon of the tab works.";
/** @type {Record<string, string>} */
const UNAVAILABLE = {
  insecure:
    "Browsers offer desktop notices only on HTTPS or on localhost, and this page came over plain HTTP. Open it over "
    + "HTTPS to turn them on. The count in the title and in the icon of the tab works here too.",
  unsupported: REFUSED,
  denied: "This browser blocks notices of this address. Allow them in its settings of this site, then reload the page.",
};

const TEST = { title: "Notices work", body: "A click on a notice opens its task." };

/** The state of the notices, and the button that changes it. */
function Switch(/** @type {NoticeSwitchProps} */ { settings, change }) {
  const [, again] = useState(0);
  const [refused, setRefused] = useState(false);
  const why = whyUnavailable() ?? (permission() === "denied" ? "denied" : null);
  if (why || refused) {
    return html`<p class="notice" data-testid="notices-unavailable">
      <${Icon} name="warn" />
      <span>${UNAVAILABLE[why ?? ""] ?? REFUSED}</span>
    </p>`;
  }
  const test = () => setRefused(!showNotice(TEST, "project-manager:test", {}));
  const turnOn = async () => {
    if (await askPermission()) change({ on: true });
    else again((number) => number + 1);
  };
  const on = settings.on && permission() === "granted";
  return html`<div class="notices-switch">
    <p role="status" data-testid="notices-state"><b>${on ? "Desktop notices are on" : "Desktop notices are off"}</b></p>
    ${on && html`<button type="button" class="small" onClick=${test} data-testid="notices-test">Test</button>`}
    ${on
      ? html`<button type="button" class="small" onClick=${() => change({ on: false })}
          data-testid="notices-off">Turn off</button>`
      : html`<button type="button" class="small primary" onClick=${turnOn} autofocus
          data-testid="notices-on">Turn on</button>`}
  </div>`;
}

function Check(/** @type {CheckProps} */ { name, checked, onChange, ...rest }) {
  return html`<label class="check" ...${rest}>
    <input type="checkbox" checked=${checked} onChange=${(event) => onChange(event.target.checked)} />
    ${name}
  </label>`;
}

export function NoticesForm(/** @type {{ id: number }} */ { id }) {
  const [settings, setSettings] = useState(noticeSettings);
  const change = (/** @type {Partial<NoticeSettings>} */ changes) => {
    const next = { ...settings, ...changes };
    saveNoticeSettings(next);
    setSettings(next);
  };
  const kinds = /** @type {[NoticeKind, { name: string }][]} */ (Object.entries(NOTICE_KINDS));
  const setTime = (/** @type {"from" | "until"} */ name) => (/** @type {string} */ value) =>
    value && change({ [name]: value });
  return html`<${Dialog} id=${id} title="Notices">
    <div class="dialog-body" data-testid="notices">
      <${Switch} settings=${settings} change=${change} />
      <fieldset class="plain-set">
        <legend>Notices of</legend>
        ${kinds.map(([kind, { name }]) => html`<${Check} key=${kind} name=${name} checked=${settings.kinds[kind]}
            onChange=${(/** @type {boolean} */ on) => change({ kinds: { ...settings.kinds, [kind]: on } })} />`)}
      </fieldset>
      <fieldset class="plain-set">
        <legend>Quiet hours</legend>
        <${Check} name="No notices at certain hours" checked=${settings.quiet}
            onChange=${(/** @type {boolean} */ quiet) => change({ quiet })} />
        ${settings.quiet && html`<div class="columns-2">
          <${Field} label="From" kind="time" required value=${settings.from} onChange=${setTime("from")} />
          <${Field} label="Until" kind="time" required value=${settings.until} onChange=${setTime("until")}
              hint="In the time zone of this browser." />
        </div>`}
      </fieldset>
      <p class="muted">
        More than three notices within a minute become one. While a tab of the dashboard is in front, none appears.
        The settings apply to this browser.
      </p>
    </div>
  <//>`;
}

/** The button that opens the settings. */
export function NoticesButton() {
  return html`<button type="button" class="quiet small" onClick=${() => openDialog("notices", {})}
      data-testid="open-notices"><${Icon} name="bell" />Notices</button>`;
}
