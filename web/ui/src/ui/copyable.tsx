/** A text to take along, with a button for it. */
import { t } from "../i18n/index.ts";
import { Icon } from "./icon.tsx";
import { copyText } from "./overlay.tsx";

export function Copyable(props: { label: string; text: string }) {
  return (
    <div class="copyable">
      <span class="hint">{props.label}</span>
      <code class="copy-text" translate="no">
        {props.text}
      </code>
      <button
        type="button"
        class="icon-button"
        aria-label={`${t().common.copy}: ${props.label}`}
        onClick={() => void copyText(props.text)}
      >
        <Icon name="copy" />
      </button>
    </div>
  );
}
