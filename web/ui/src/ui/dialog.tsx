/** A modal window. The browser's own `dialog` keeps the focus inside, makes the rest inert and closes with Escape. */
import { createUniqueId, onCleanup, onMount, Show, type JSX } from "solid-js";
import { t } from "../i18n/index.ts";
import { Icon } from "./icon.tsx";

export function Dialog(props: {
  title: string;
  onClose: () => void;
  children: JSX.Element;
  footer?: JSX.Element;
  wide?: boolean;
  /** Escape and the cross are no way out of this one. */
  must?: boolean;
}) {
  const id = createUniqueId();
  let dialog!: HTMLDialogElement;
  const before = document.activeElement;
  onMount(() => {
    dialog.showModal();
    const wanted = dialog.querySelector<HTMLElement>("[data-focus]");
    wanted?.focus();
  });
  onCleanup(() => {
    dialog.close();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  });
  return (
    <dialog
      ref={dialog}
      class="dialog"
      classList={{ wide: props.wide }}
      aria-labelledby={id}
      on:cancel={(event) => {
        event.preventDefault();
        if (!props.must) props.onClose();
      }}
      on:close={() => !props.must && dialog.isConnected && props.onClose()}
      on:mousedown={(event) => event.target === dialog && !props.must && props.onClose()}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2 id={id}>{props.title}</h2>
          <Show when={!props.must}>
            <button type="button" class="icon-button" aria-label={t().common.close} onClick={() => props.onClose()}>
              <Icon name="close" />
            </button>
          </Show>
        </header>
        <div class="dialog-content">{props.children}</div>
        <Show when={props.footer}>
          <footer class="dialog-foot">{props.footer}</footer>
        </Show>
      </div>
    </dialog>
  );
}
