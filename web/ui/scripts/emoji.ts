/**
 * `virtual:emoji/en` and `virtual:emoji/ru`: what the emoji picker searches, as one string that is loaded when the picker opens
 * first. A line is an emoji, its name and words to find it by; shortcodes begin with a colon. Groups are divided by empty lines.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Plugin } from "vite";

interface Entry {
  hexcode: string;
  emoji: string;
  label: string;
  tags?: string[];
  group?: number;
  order?: number;
  version: number;
}

/** The newest emoji that systems in use can draw. */
const VERSION_MAX = 15.1;
/** emojibase's group of skin tones and hair, which are no emoji of their own. */
const COMPONENTS = 2;

const require = createRequire(import.meta.url);

export function emoji(): Plugin {
  const name = /^virtual:emoji\/(en|ru)$/;
  return {
    name: "sotto-emoji",
    resolveId: (id) => (name.test(id) ? `\0${id}` : undefined),
    load(id) {
      const language = id.startsWith("\0") ? name.exec(id.slice(1))?.[1] : undefined;
      return language ? `export default ${JSON.stringify(lines(language))};` : undefined;
    },
  };
}

function lines(language: string): string {
  const json = (path: string): unknown =>
    JSON.parse(readFileSync(require.resolve(`emojibase-data/${path}`), "utf8"));
  const entries = json(`${language}/data.json`) as Entry[];
  const codes = json("en/shortcodes/github.json") as Record<string, string | string[]>;
  const groups: string[][] = [];
  for (const entry of entries.toSorted((a, b) => (a.order ?? 0) - (b.order ?? 0))) {
    if (entry.group === undefined || entry.group === COMPONENTS || entry.version > VERSION_MAX) continue;
    const shortcodes = [codes[entry.hexcode] ?? []].flat().map((code) => `:${code}`);
    const words = [entry.label, ...(entry.tags ?? []).slice(0, 6), ...shortcodes];
    (groups[entry.group] ??= []).push(`${entry.emoji}\t${words.join("\t")}`);
  }
  return groups
    .filter((group) => group)
    .map((group) => group.join("\n"))
    .join("\n\n");
}
