/** Words of the interface. `t()` is the dictionary of the chosen language; both have the same shape, held by the compiler. */
import { prefs } from "../state/prefs.ts";
import { en, type Dictionary } from "./en.ts";
import { ru } from "./ru.ts";

const dictionaries = { en, ru } satisfies Record<string, Dictionary>;

export function t(): Dictionary {
  return dictionaries[prefs.language];
}

const tags = new Map<string, string>();
addEventListener("languagechange", () => tags.clear());

/** The tag for dates and numbers: the browser's own variant of the chosen language, where it has one. */
export function locale(): string {
  const language = prefs.language;
  let tag = tags.get(language);
  if (!tag) {
    // Asking the browser is slow, and each line of a conversation needs it several times.
    tag = navigator.languages.find((one) => one.toLowerCase().startsWith(language)) ?? language;
    tags.set(language, tag);
  }
  return tag;
}

export type { Dictionary };
