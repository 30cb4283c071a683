/** Words of the interface. `t()` is the dictionary of the chosen language; both have the same shape, held by the compiler. */
import { prefs } from "../state/prefs.ts";
import { en, type Dictionary } from "./en.ts";
import { ru } from "./ru.ts";

const dictionaries = { en, ru } satisfies Record<string, Dictionary>;

export function t(): Dictionary {
  return dictionaries[prefs.language];
}

/** The tag for dates and numbers: the browser's own variant of the chosen language, where it has one. */
export function locale(): string {
  return navigator.languages.find((tag) => tag.toLowerCase().startsWith(prefs.language)) ?? prefs.language;
}

export type { Dictionary };
