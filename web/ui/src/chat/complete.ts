/** What the word before the caret may become: `@` a member, `:` an emoji. */
import type { Member } from "../engine/api.ts";
import { allEmoji, findEmoji } from "../emoji/data.ts";
import { fold } from "../main/filter.ts";

export interface Suggestion {
  sign: string;
  label: string;
  insert: string;
  /** So many characters before the caret go away. */
  replaces: number;
  emoji?: string;
}

const SHOWN_MAX = 6;

export async function complete(before: string, people: readonly Member[]): Promise<Suggestion[]> {
  const mention = /(?:^|\s)@([^\s@]{0,32})$/u.exec(before);
  if (mention) {
    const begun = fold(mention[1] ?? "");
    return people
      .filter((person) => person.username && fold(person.username).startsWith(begun))
      .slice(0, SHOWN_MAX)
      .map((person) => ({
        sign: "@",
        label: person.username,
        insert: `@${person.username} `,
        replaces: (mention[1]?.length ?? 0) + 1,
      }));
  }
  const code = /(?:^|\s):([\p{L}\p{N}_+-]{2,30})(:?)$/u.exec(before);
  if (!code) return [];
  const wanted = code[1] ?? "";
  const list = await allEmoji().catch(() => []);
  const found = findEmoji(list, wanted, SHOWN_MAX);
  return found
    .filter((one) => !code[2] || one.codes.includes(wanted))
    .map((one) => ({
      sign: one.emoji,
      label: one.codes[0] ? `:${one.codes[0]}:` : one.name,
      insert: `${one.emoji} `,
      replaces: wanted.length + 1 + (code[2]?.length ?? 0),
      emoji: one.emoji,
    }));
}
