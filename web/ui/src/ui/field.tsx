/** Labelled fields. */
import { createSignal, createUniqueId, Show, splitProps, type JSX } from "solid-js";
import { t } from "../i18n/index.ts";
import { Icon } from "./icon.tsx";

type Input = Omit<JSX.InputHTMLAttributes<HTMLInputElement>, "onInput" | "value">;

export function Field(
  props: Input & { label: string; hint?: string; value: string; onValue: (value: string) => void; focus?: boolean },
) {
  const id = createUniqueId();
  const [own, rest] = splitProps(props, ["label", "hint", "value", "onValue", "focus", "type"]);
  const [shown, setShown] = createSignal(false);
  const secret = (): boolean => own.type === "password";
  return (
    <div class="field">
      <label for={id}>{own.label}</label>
      <div class="field-box">
        <input
          {...rest}
          id={id}
          dir="auto"
          type={secret() && shown() ? "text" : (own.type ?? "text")}
          value={own.value}
          data-focus={own.focus ? "" : undefined}
          aria-describedby={own.hint ? `${id}-hint` : undefined}
          onInput={(event) => own.onValue(event.currentTarget.value)}
        />
        <Show when={secret()}>
          <button
            type="button"
            class="icon-button"
            aria-pressed={shown()}
            aria-label={shown() ? t().welcome.hidePassword : t().welcome.showPassword}
            onClick={() => setShown(!shown())}
          >
            <Icon name="eye" />
          </button>
        </Show>
      </div>
      <Show when={own.hint}>
        <p class="hint" id={`${id}-hint`}>
          {own.hint}
        </p>
      </Show>
    </div>
  );
}

export function Choice<T extends string>(props: {
  label: string;
  hint?: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onValue: (value: T) => void;
}) {
  const id = createUniqueId();
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <div class="field-box">
        <select id={id} aria-describedby={props.hint ? `${id}-hint` : undefined} onChange={(event) => props.onValue(event.currentTarget.value as T)}>
          {props.options.map(([value, text]) => (
            <option value={value} selected={value === props.value}>
              {text}
            </option>
          ))}
        </select>
      </div>
      <Show when={props.hint}>
        <p class="hint" id={`${id}-hint`}>
          {props.hint}
        </p>
      </Show>
    </div>
  );
}

export function Switch(props: {
  label: string;
  hint?: string;
  on: boolean;
  disabled?: boolean;
  /** The switch shows `on` again once this is done: what was refused goes back. */
  onChange: (on: boolean) => unknown;
}) {
  const id = createUniqueId();
  async function change(box: HTMLInputElement): Promise<void> {
    await props.onChange(box.checked);
    box.checked = props.on;
  }
  return (
    <div class="switch-row">
      <div>
        <label for={id}>{props.label}</label>
        <Show when={props.hint}>
          <p class="hint" id={`${id}-hint`}>
            {props.hint}
          </p>
        </Show>
      </div>
      <input
        id={id}
        type="checkbox"
        role="switch"
        class="switch"
        checked={props.on}
        disabled={props.disabled}
        aria-describedby={props.hint ? `${id}-hint` : undefined}
        onChange={(event) => void change(event.currentTarget)}
      />
    </div>
  );
}
