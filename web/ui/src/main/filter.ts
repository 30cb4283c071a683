/** Which conversations the list shows. */
import { createMemo, createRoot, createSignal } from "solid-js";
import { app, sortedIds, titleOf } from "../state/app.ts";
import { openId } from "../state/route.ts";

export const FILTERS = ["all", "unread", "direct", "group", "room"] as const;
export type Filter = (typeof FILTERS)[number];

const [filter, setFilter] = createSignal<Filter>("all");
const [query, setQuery] = createSignal("");
export { filter, setFilter, query, setQuery };

/** Letters without case and accents, as people search. */
export function fold(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();
}

export const shownIds = createRoot(() =>
  createMemo(() => {
    const wanted = fold(query().trim());
    return sortedIds().filter((id) => {
      const one = app.conversations[id];
      if (!one) return false;
      // What is being read stays, though nothing of it is unread any more.
      if (filter() === "unread" ? one.unread === 0 && id !== openId() : filter() !== "all" && one.kind !== filter())
        return false;
      return wanted === "" || fold(titleOf(one)).includes(wanted) || fold(one.name).includes(wanted);
    });
  }),
);
