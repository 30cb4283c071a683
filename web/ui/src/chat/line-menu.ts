/** What can be done with a line. */
import type { Conversation, Message } from "../engine/api.ts";
import { openSeen } from "../dialogs/open.ts";
import { t } from "../i18n/index.ts";
import { call, isMember, me } from "../state/app.ts";
import { prefs, rememberEmoji } from "../state/prefs.ts";
import { openEmoji } from "../emoji/open.ts";
import { openMenu, type Item } from "../ui/menu.tsx";
import { attempt, confirmed, copyText } from "../ui/overlay.tsx";

const QUICK = 6;

export function react(message: Message, emoji: string, on: boolean): Promise<unknown> {
  return call("react", { conversation: message.conversation, target: message.sequence, emoji, on });
}

export function openLineMenu(
  message: Message,
  one: Conversation,
  anchor: Element | DOMRect,
  to: { reply: (message: Message) => void; edit: (message: Message) => void },
): void {
  const words = t().line;
  const target = { conversation: message.conversation, target: message.sequence };
  const role = one.people.find((person) => person.account === me())?.role;
  const moderates = one.kind !== "direct" && (role === "moderator" || role === "owner");
  const text = message.kind === "text";
  const items: Item[] = [];
  if (text && isMember(one)) {
    items.push({ label: words.reply, icon: "reply", run: () => to.reply(message) });
    items.push({
      label: words.react,
      icon: "smile",
      run: () =>
        openEmoji(anchor, (emoji) => {
          rememberEmoji(emoji);
          void attempt(() => react(message, emoji, true));
        }),
    });
    if (message.own) items.push({ label: words.edit, icon: "edit", run: () => to.edit(message) });
    if (one.kind !== "room" || moderates)
      items.push({
        label: message.pinned ? words.unpin : words.pin,
        icon: "pin",
        run: () => void attempt(() => call("pin", { ...target, on: !message.pinned })),
      });
  }
  if (text && message.text) items.push({ label: words.copyText, icon: "copy", run: () => void copyText(message.text ?? "") });
  if (message.own && text)
    items.push({ label: words.details, icon: "eye", run: () => openSeen(message.conversation, message.sequence) });
  if (text && isMember(one) && (message.own || moderates))
    items.push({
      label: words.delete,
      icon: "trash",
      danger: true,
      run: () =>
        void confirmed(words.deleteSure, words.delete).then((yes) => {
          if (yes) void attempt(() => call("delete", target));
        }),
    });
  if (items.length === 0) return;
  const has = (emoji: string): boolean =>
    message.reactions.some((one) => one.emoji === emoji && one.accounts.includes(me() ?? ""));
  const quick =
    text && isMember(one)
      ? prefs.recentEmoji.slice(0, QUICK).map((emoji) => ({
          emoji,
          label: `${words.react} ${emoji}`,
          on: has(emoji),
          run: () => void attempt(() => react(message, emoji, !has(emoji))),
        }))
      : undefined;
  openMenu(words.actions, items, anchor, quick);
}
