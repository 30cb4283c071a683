/** The emoji, loaded once per language. */
import { prefs } from "../state/prefs.ts";

export interface Emoji {
  emoji: string;
  name: string;
  group: number;
  /** Folded words to find it by, each after a space. */
  find: string;
  /** Without colons. */
  codes: string[];
}

const loaded = new Map<string, Promise<Emoji[]>>();

export function allEmoji(): Promise<Emoji[]> {
  const language = prefs.language;
  let list = loaded.get(language);
  if (!list) {
    const lines = language === "ru" ? import("virtual:emoji/ru") : import("virtual:emoji/en");
    list = lines.then((module) => parse(module.default));
    list.catch(() => loaded.delete(language));
    loaded.set(language, list);
  }
  return list;
}

function parse(text: string): Emoji[] {
  return text.split("\n\n").flatMap((part, group) =>
    part.split("\n").map((line) => {
      const [emoji = "", name = "", ...words] = line.split("\t");
      const codes = words.filter((word) => word.startsWith(":")).map((word) => word.slice(1));
      return { emoji, name, group, codes, find: ` ${[name, ...words].join(" ").toLocaleLowerCase().replaceAll(/[_:-]/g, " ")}` };
    }),
  );
}

/** Words are found by how they begin; shortcodes that begin so come first. */
export function findEmoji(list: readonly Emoji[], query: string, limit: number): Emoji[] {
  const words = query.toLocaleLowerCase().split(/[\s_:-]+/u).filter(Boolean);
  if (words.length === 0) return [];
  const code = query.toLocaleLowerCase();
  const rank = (one: Emoji): number =>
    one.codes.includes(code) ? 0 : one.codes.some((other) => other.startsWith(code)) ? 1 : 2;
  return list
    .filter((one) => words.every((word) => one.find.includes(` ${word}`)))
    .map((one, at) => ({ one, at, rank: rank(one) }))
    .sort((a, b) => a.rank - b.rank || a.at - b.at)
    .slice(0, limit)
    .map(({ one }) => one);
}
