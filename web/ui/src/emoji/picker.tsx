/** The emoji picker: search, recent ones, and all by groups. Arrow keys move in the grid. */
import { createMemo, createSignal, For, onMount, Show } from "solid-js";
import { Portal } from "solid-js/web";
import { t } from "../i18n/index.ts";
import { prefs } from "../state/prefs.ts";
import { createLoad } from "../ui/load.ts";
import { place } from "../ui/menu.tsx";
import { allEmoji, findEmoji, type Emoji } from "./data.ts";
import { setWish, type Wish } from "./open.ts";

const FOUND_MAX = 96;

export default function Picker(props: Wish) {
  let box!: HTMLDivElement;
  let grid!: HTMLDivElement;
  const [query, setQuery] = createSignal("");
  const [group, setGroup] = createSignal(0);
  const list = createLoad(allEmoji);
  const shown = createMemo<Emoji[]>(() => {
    const all = list.value() ?? [];
    return query().trim() ? findEmoji(all, query().trim(), FOUND_MAX) : all.filter((one) => one.group === group());
  });
  onMount(() => {
    box.showPopover();
    place(box, props.at);
    box.querySelector("input")?.focus({ preventScroll: true });
  });
  const pick = (emoji: string): void => {
    box.hidePopover();
    props.pick(emoji);
  };
  function move(event: KeyboardEvent): void {
    const cells = [...grid.querySelectorAll<HTMLElement>("button")];
    const at = cells.indexOf(document.activeElement as HTMLElement);
    if (at < 0) return;
    const top = cells[0]?.offsetTop;
    const columns = Math.max(1, cells.findIndex((cell) => cell.offsetTop !== top));
    const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    if (at + step < 0) box.querySelector("input")?.focus();
    else cells[Math.min(at + step, cells.length - 1)]?.focus();
  }
  const cell = (emoji: string, name: string, first: boolean) => (
    <button type="button" class="emoji" aria-label={name} title={name} tabindex={first ? 0 : -1} onClick={() => pick(emoji)}>
      {emoji}
    </button>
  );
  return (
    <Portal>
      <div
        ref={box}
        class="emoji-picker"
        popover="auto"
        role="dialog"
        aria-label={t().emoji.title}
        on:toggle={(event) => {
          if (event.newState !== "closed") return;
          const inside = box.contains(document.activeElement) || document.activeElement === document.body;
          setWish(undefined);
          if (inside && props.back instanceof HTMLElement && props.back.isConnected) props.back.focus();
        }}
      >
        <input
          type="search"
          class="emoji-search"
          aria-label={t().emoji.search}
          placeholder={t().emoji.search}
          maxlength="60"
          value={query()}
          onInput={(event) => setQuery(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown") {
              event.preventDefault();
              grid.querySelector("button")?.focus();
            } else if (event.key === "Enter") {
              event.preventDefault();
              const [first] = shown();
              if (first && query()) pick(first.emoji);
            }
          }}
        />
        <Show when={!query()}>
          <div class="emoji-recent" role="group" aria-label={t().emoji.recent}>
            <For each={prefs.recentEmoji}>{(emoji, at) => cell(emoji, `${t().emoji.recent} ${emoji}`, at() === 0)}</For>
          </div>
        </Show>
        <div ref={grid} class="emoji-grid" role="group" aria-label={t().emoji.title} onKeyDown={move}>
          <For each={shown()}>{(one, at) => cell(one.emoji, one.name, at() === 0)}</For>
          <Show when={list.value() && shown().length === 0}>
            <p class="hint">{t().emoji.none}</p>
          </Show>
          <Show when={list.loading()}>
            <p class="hint">{t().common.loading}</p>
          </Show>
        </div>
        <Show when={!query()}>
          <div class="emoji-groups">
            <For each={t().emoji.groups}>
              {(name, at) => (
                <button
                  type="button"
                  class="emoji-group"
                  aria-pressed={group() === at()}
                  aria-label={name}
                  title={name}
                  onClick={() => setGroup(at())}
                >
                  {["😀", "👋", "🐻", "🍎", "🚗", "⚽", "💡", "❤️", "🏁"][at()]}
                </button>
              )}
            </For>
          </div>
        </Show>
      </div>
    </Portal>
  );
}
