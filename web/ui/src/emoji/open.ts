/** Opens the emoji picker at a place; it is loaded when it is wanted first. */
import { createComponent, createSignal, lazy, Show, Suspense } from "solid-js";

const Picker = lazy(() => import("./picker.tsx"));

export interface Wish {
  at: DOMRect;
  pick: (emoji: string) => void;
  back: Element | null;
}

const [wish, setWish] = createSignal<Wish>();
export { setWish };

export function openEmoji(anchor: Element | DOMRect, pick: (emoji: string) => void): void {
  const at = anchor instanceof Element ? anchor.getBoundingClientRect() : anchor;
  setWish({ at, pick, back: document.activeElement });
}

export function EmojiHost() {
  return createComponent(Show, {
    get when() {
      return wish();
    },
    keyed: true,
    children: ((open: Wish) =>
      createComponent(Suspense, {
        get children() {
          return createComponent(Picker, open);
        },
      })) as never,
  });
}
