/** What this browser remembers about looks and habits. Nothing that anybody said is kept here. */
import { createEffect } from "solid-js";
import { createStore } from "solid-js/store";

export type Theme = "system" | "light" | "dark";
export type Language = "en" | "ru";

interface Prefs {
  theme: Theme;
  language: Language;
  notify: boolean;
  /** Notifications show who wrote and what. */
  preview: boolean;
  enterSends: boolean;
  /** Calls and files show others no address of this device. */
  relayOnly: boolean;
  /** The devices that were chosen for calls; empty for the browser's own choice. */
  microphone: string;
  camera: string;
  speaker: string;
  /** Pictures up to so many bytes show themselves; 0 for none. */
  pictureBytes: number;
  recentEmoji: string[];
  /** The question about notifications was answered. */
  asked: boolean;
}

const KEY = "sotto.prefs";
/** As many as one row of the picker shows. */
const RECENT_MAX = 8;

function read(): Prefs {
  const start: Prefs = {
    theme: "system",
    language: navigator.languages.find((tag) => /^(ru|en)\b/.test(tag))?.startsWith("ru") ? "ru" : "en",
    notify: false,
    preview: true,
    enterSends: true,
    relayOnly: false,
    microphone: "",
    camera: "",
    speaker: "",
    pictureBytes: 5_000_000,
    recentEmoji: ["👍", "❤️", "😂", "🎉", "🙏", "🔥"],
    asked: false,
  };
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Prefs>;
    if (kept.theme === "light" || kept.theme === "dark") start.theme = kept.theme;
    if (kept.language === "en" || kept.language === "ru") start.language = kept.language;
    for (const key of ["notify", "preview", "enterSends", "asked", "relayOnly"] as const)
      if (typeof kept[key] === "boolean") start[key] = kept[key];
    for (const key of ["microphone", "camera", "speaker"] as const)
      if (typeof kept[key] === "string" && kept[key].length <= 512) start[key] = kept[key];
    if (Number.isSafeInteger(kept.pictureBytes)) start.pictureBytes = kept.pictureBytes as number;
    if (Array.isArray(kept.recentEmoji))
      start.recentEmoji = kept.recentEmoji.filter((e) => typeof e === "string" && e.length < 32).slice(0, RECENT_MAX);
  } catch {
    // Damaged, or no storage at all: the usual.
  }
  return start;
}

const [prefs, setPrefs] = createStore<Prefs>(read());
export { prefs };

export function prefer(change: Partial<Prefs>): void {
  setPrefs(change);
  try {
    localStorage.setItem(KEY, JSON.stringify(prefs));
  } catch {
    // It holds until the tab is closed.
  }
}

// What hides an address hides it in every tab, at once.
addEventListener("storage", ({ key }) => key === KEY && setPrefs(read()));

export function rememberEmoji(emoji: string): void {
  prefer({ recentEmoji: [emoji, ...prefs.recentEmoji.filter((e) => e !== emoji)].slice(0, RECENT_MAX) });
}

/** Keeps the document in the chosen theme and language. */
export function applyPrefs(): void {
  createEffect(() => {
    const root = document.documentElement;
    if (prefs.theme === "system") delete root.dataset["theme"];
    else root.dataset["theme"] = prefs.theme;
    root.lang = prefs.language;
  });
}
