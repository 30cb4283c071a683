/** What happened in a conversation, in a sentence. */
import type { Conversation, Message } from "../engine/api.ts";
import { locale, t } from "../i18n/index.ts";
import { span } from "../i18n/time.ts";
import { me, nameOf } from "../state/app.ts";
import { plainText } from "../ui/spans.tsx";

/** As many names as a line has room for. */
const NAMES_MAX = 8;

export function listed(names: readonly string[]): string {
  const shown = names.length > NAMES_MAX ? [...names.slice(0, NAMES_MAX), `+${names.length - NAMES_MAX}`] : [...names];
  return new Intl.ListFormat(locale(), { type: "conjunction" }).format(shown);
}

/** Keeps a name's own direction out of the sentence around it. */
export function isolated(name: string): string {
  return `\u2068${name}\u2069`;
}

export function noticeText(message: Message, within: Conversation | undefined): string {
  const words = t().line;
  const name = (id: string): string => isolated(nameOf(id, within));
  const who = isolated(message.username || nameOf(message.account, within));
  const whom = listed((message.accounts ?? []).map(name));
  const self = message.accounts?.length === 1 && message.accounts[0] === message.account;
  switch (message.kind) {
    case "named":
      return message.name ? words.named(who, isolated(message.name)) : words.unnamed(who);
    case "added":
      return self || !message.accounts?.length ? words.joined(who) : words.added(who, whom);
    case "removed":
      return self ? words.left(who) : words.removed(who, whom);
    case "left":
      return words.left(whom || who);
    case "rejoined":
      return words.rejoined(whom || who);
    case "missing":
      return words.missing(who);
    case "deleted":
      return message.by && message.by !== message.account ? words.deletedBy(name(message.by)) : words.deleted;
    case "timer":
      return message.seconds ? words.timerSet(who, span(message.seconds)) : words.timerOff(who);
    case "call":
      return within?.kind === "direct" ? callText(message) : groupCallText(message, who);
    case "unknown":
      return words.unknown;
    case "text":
      return plainText(message.spans);
  }
}

function callText(message: Message): string {
  const words = t().line.call;
  const { video = false, own } = message;
  switch (message.outcome) {
    case "answered":
      return words.answered(video, own, span(Math.max(1, message.seconds ?? 0)));
    case "declined":
      return words.declined(video, own);
    case "failed":
      return words.failed(video, own);
    case "busy":
      return own ? words.busy(video) : words.missed(video);
    default:
      return own ? words.unanswered(video) : words.missed(video);
  }
}

/** Who writes it down is who began a call that nobody joined, or who was the last to leave. */
function groupCallText(message: Message, who: string): string {
  const words = t().line.groupCall;
  const { video = false } = message;
  if (message.outcome === "answered") return words.answered(video, span(Math.max(1, message.seconds ?? 0)));
  return message.own ? t().line.call.unanswered(video) : words.missed(video, who);
}

/** One line of a text, for lists. */
export function summary(message: Message): string {
  return plainText(message.spans, 160);
}

export function isMe(account: string): boolean {
  return account === me();
}
