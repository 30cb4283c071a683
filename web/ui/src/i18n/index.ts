/**
 * Words of the interface. `t()` is the dictionary of the chosen language; all have the same shape, held by the compiler. English is there
 * from the start, and stands in for another one until that is loaded.
 */
import { createSignal } from "solid-js";
import { prefs } from "../state/prefs.ts";
import { en, type Dictionary } from "./en.ts";

const [russian, setRussian] = createSignal<Dictionary>();

export function t(): Dictionary {
  return (prefs.language === "ru" && russian()) || en;
}

/** Loads the chosen language, if it is not there. */
export async function speak(): Promise<void> {
  if (prefs.language === "ru" && !russian()) setRussian((await import("./ru.ts")).ru);
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
