/** A menu at a button or at the pointer. Escape, Tab and a click elsewhere close it. */
import { createSignal, For, onCleanup, onMount, Show } from "solid-js";
import { Portal } from "solid-js/web";
import { Icon, type IconName } from "./icon.tsx";
import { rove } from "./roving.ts";

export interface Item {
  label: string;
  icon?: IconName;
  danger?: boolean;
  run: () => void;
}

interface Open {
  label: string;
  items: Item[];
  at: DOMRect;
  /** A row of reactions over the items. */
  quick?: { label: string; emoji: string; on: boolean; run: () => void }[];
  back: Element | null;
}

const [menu, setMenu] = createSignal<Open>();

export function openMenu(label: string, items: Item[], anchor: Element | DOMRect, quick?: Open["quick"]): void {
  const at = anchor instanceof Element ? anchor.getBoundingClientRect() : anchor;
  setMenu(undefined);
  setMenu({ label, items, at, back: document.activeElement, ...(quick && { quick }) });
}

/** How far a menu stays from the edge of the window. */
const EDGE_PX = 8;

/** Puts a box where it fits: under its anchor, else over it. */
export function place(box: HTMLElement, at: DOMRect): void {
  const { width, height } = box.getBoundingClientRect();
  const left = Math.max(EDGE_PX, Math.min(at.right - width, innerWidth - width - EDGE_PX));
  const fitsUnder = at.bottom + height + EDGE_PX <= innerHeight;
  const top = fitsUnder ? at.bottom + 4 : Math.max(EDGE_PX, at.top - height - 4);
  box.style.setProperty("left", `${left}px`);
  box.style.setProperty("top", `${Math.min(top, Math.max(EDGE_PX, innerHeight - height - EDGE_PX))}px`);
}

export function MenuHost() {
  return (
    <Show when={menu()} keyed>
      {(open) => (
        <Portal mount={document.getElementById("main") ?? document.body}>
          <MenuBox {...open} />
        </Portal>
      )}
    </Show>
  );
}

function MenuBox(props: Open) {
  let box!: HTMLDivElement;
  const outside = (event: Event): void => {
    if (!(event.target instanceof Node && box.contains(event.target))) close(false);
  };
  onMount(() => {
    box.showPopover();
    place(box, props.at);
    box.querySelector<HTMLElement>("[role=menuitem],[role=menuitemcheckbox]")?.focus();
    // Not a popover that closes itself: a menu opened by the right button would be closed by its release.
    document.addEventListener("pointerdown", outside, true);
    addEventListener("blur", outside);
    addEventListener("resize", outside);
  });
  onCleanup(() => {
    document.removeEventListener("pointerdown", outside, true);
    removeEventListener("blur", outside);
    removeEventListener("resize", outside);
  });
  function close(giveBack: boolean): void {
    setMenu(undefined);
    if (giveBack && props.back instanceof HTMLElement && props.back.isConnected) props.back.focus();
  }
  const done = (run: () => void): void => {
    close(true);
    run();
  };
  return (
    <div
      ref={box}
      class="menu"
      popover="manual"
      role="menu"
      aria-label={props.label}
      on:keydown={(event) => {
        event.stopPropagation();
        if (event.key === "Tab" || event.key === "Escape") {
          event.preventDefault();
          close(true);
          return;
        }
        rove(event, "[role=menuitem],[role=menuitemcheckbox]");
        rove(event, "[role=menuitemcheckbox]", true);
      }}
    >
      <Show when={props.quick}>
        {(quick) => (
          <div class="menu-quick" role="group">
            <For each={quick()}>
              {(one) => (
                <button
                  type="button"
                  role="menuitemcheckbox"
                  aria-checked={one.on}
                  aria-label={one.label}
                  tabindex="-1"
                  onClick={() => done(one.run)}
                >
                  {one.emoji}
                </button>
              )}
            </For>
          </div>
        )}
      </Show>
      <For each={props.items}>
        {(item) => (
          <button
            type="button"
            role="menuitem"
            class="menu-item"
            classList={{ danger: item.danger }}
            tabindex="-1"
            onClick={() => done(item.run)}
          >
            <Show when={item.icon}>{(icon) => <Icon name={icon()} />}</Show>
            <span>{item.label}</span>
          </button>
        )}
      </For>
    </div>
  );
}
