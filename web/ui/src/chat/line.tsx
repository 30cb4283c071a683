/** One line: a text with everything that belongs to it, or what happened. */
import { createMemo, createSignal, For, Match, Show, Suspense, Switch } from "solid-js";
import type { Message } from "../engine/api.ts";
import { Card } from "../files/open.ts";
import { t } from "../i18n/index.ts";
import { clock, day, full, span } from "../i18n/time.ts";
import { me, nameOf, relayNow, type Conversation } from "../state/app.ts";
import { rememberEmoji } from "../state/prefs.ts";
import { said, type LineRow, type QueuedRow } from "../state/lines.ts";
import { Avatar, hueOf } from "../ui/avatar.tsx";
import { Icon } from "../ui/icon.tsx";
import { attempt } from "../ui/overlay.tsx";
import { plainText, Spans } from "../ui/spans.tsx";
import { openLineMenu, react } from "./line-menu.ts";
import { listed, noticeText } from "./notice.ts";

/** More than this is folded until somebody asks for it. */
const FOLD_CHARS = 3_000;

interface LineProps {
  row: LineRow;
  one: Conversation;
  lit: boolean;
  tab: boolean;
  onFocus: () => void;
  onReply: (message: Message) => void;
  onEdit: (message: Message) => void;
  onJump: (sequence: number) => void;
}

export function Line(props: LineProps) {
  const message = props.row.message;
  const head = props.row.head;
  const grouped = (): boolean => props.one.kind !== "direct";
  const label = (): string => {
    const text = message().kind === "text" ? plainText(message().spans, 300) : noticeText(message(), props.one);
    const time = clock(message().time_ms);
    return message().own ? t().line.ownLabel(text, time) : t().line.label(message().username, text, time);
  };
  function menu(anchor: Element | DOMRect): void {
    openLineMenu(message(), props.one, anchor, { reply: props.onReply, edit: props.onEdit });
  }
  return (
    <div class="row-line" data-sequence={props.row.sequence}>
      <Show when={head().beginning}>
        <p class="beginning">
          <Icon name="lock" class="inline" /> {t().conversation.encrypted}.{" "}
          {cameLater(message()) && props.one.history !== "all" ? t().conversation.beginningNone : t().conversation.beginning}
        </p>
      </Show>
      <Show when={head().day}>
        <p class="day">
          <span>{day(message().time_ms)}</span>
        </p>
      </Show>
      <Show when={head().unread}>
        <p class="unread-line">
          <span>{t().conversation.newLine}</span>
        </p>
      </Show>
      <Show
        when={said(message())}
        fallback={
          <p class="notice" data-key={props.row.key} tabindex={props.tab ? 0 : -1} onFocus={props.onFocus} dir="auto">
            {noticeText(message(), props.one)}
          </p>
        }
      >
        <article
          class="message"
          classList={{
            own: message().own,
            joined: head().joined,
            "joined-next": head().joinedNext,
            lit: props.lit,
            faint: message().kind !== "text",
            "names-me": !message().own && message().mentions.includes(me() ?? ""),
          }}
          aria-label={label()}
          data-key={props.row.key}
          tabindex={props.tab ? 0 : -1}
          onFocus={props.onFocus}
          onKeyDown={(event) => {
            if (event.target !== event.currentTarget) return;
            if (event.key === "Enter" || event.key === " " || event.key === "ContextMenu") {
              event.preventDefault();
              menu(event.currentTarget.querySelector(".bubble") ?? event.currentTarget);
            }
          }}
          onContextMenu={(event) => {
            if ((event.target as Element).closest("a") || !getSelection()?.isCollapsed) return;
            event.preventDefault();
            menu(new DOMRect(event.clientX, event.clientY, 0, 0));
          }}
          onDblClick={() => message().kind === "text" && getSelection()?.isCollapsed && props.onReply(message())}
        >
          <Show when={grouped() && !message().own}>
            <span class="message-face">
              <Show when={!head().joinedNext}>
                <Avatar id={message().account} name={message().username} size="small" />
              </Show>
            </span>
          </Show>
          <div class="message-box">
            <div class="bubble">
              <Show when={grouped() && !message().own && !head().joined}>
                <p class={`author hue-text-${hueOf(message().account)}`}>
                  <bdi>{message().username || nameOf(message().account, props.one)}</bdi>
                </p>
              </Show>
              <Show when={message().reply}>
                {(reply) => (
                  <button type="button" class="reply-to" tabindex="-1" onClick={() => props.onJump(reply().sequence)}>
                    <bdi class={`reply-who hue-text-${hueOf(reply().account ?? "")}`}>
                      {reply().account === me() ? t().line.youSaid : reply().username}
                    </bdi>
                    <span class="reply-text" dir="auto">
                      {reply().excerpt}
                    </span>
                  </button>
                )}
              </Show>
              <Body message={message()} one={props.one} tab={props.tab} />
              <Foot message={message()} one={props.one} />
            </div>
            <Reactions message={message()} one={props.one} />
          </div>
          <button
            type="button"
            class="message-more"
            tabindex="-1"
            aria-label={t().line.actions}
            aria-haspopup="menu"
            onClick={(event) => menu(event.currentTarget)}
          />
        </article>
      </Show>
    </div>
  );
}

/** The first line is how one came into a conversation that was there before. */
function cameLater(first: Message): boolean {
  return first.kind === "added" && (first.accounts ?? []).includes(me() ?? "");
}

function Body(props: { message: Message; one: Conversation; tab: boolean }) {
  const [open, setOpen] = createSignal(false);
  const spans = () => (props.message.spans ?? [{ text: "" }]).slice(props.message.file ? 1 : 0);
  const length = createMemo(() => spans().reduce((sum, one) => sum + one.text.length, 0));
  const shown = createMemo(() => {
    if (open() || length() <= FOLD_CHARS) return spans();
    let left = FOLD_CHARS;
    return spans().flatMap((one) => {
      if (left <= 0) return [];
      const text = one.text.slice(0, left);
      left -= one.text.length;
      return [{ ...one, text }];
    });
  });
  const onlyEmoji = createMemo(
    () => length() <= 24 && /^(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|[\u200d\ufe0f]|[\u{1f1e6}-\u{1f1ff}]){1,24}$/u.test(plainText(spans(), 30)),
  );
  return (
    <Switch>
      <Match when={props.message.kind === "text"}>
        <Show when={props.message.file}>
          <Suspense fallback={<div class="file-space" />}>
            <Card message={props.message} tab={props.tab} />
          </Suspense>
        </Show>
        <div class="text" classList={{ "only-emoji": onlyEmoji() }} dir="auto">
          <Spans spans={shown()} />
          <Show when={length() > FOLD_CHARS}>
            <button type="button" class="link unfold" onClick={() => setOpen(!open())}>
              {open() ? t().line.showLess : t().line.showAll}
            </button>
          </Show>
        </div>
      </Match>
      <Match when={true}>
        <p class="text faint-text">
          {noticeText(props.message, props.one)}
          <Show when={props.message.kind === "missing"}> {t().line.missingHint}</Show>
        </p>
      </Match>
    </Switch>
  );
}

function Foot(props: { message: Message; one: Conversation }) {
  const message = () => props.message;
  const origin = () =>
    message().origin === "archive" || message().origin === "imported"
      ? t().line.fromArchive
      : message().origin === "resent"
        ? t().line.resent
        : undefined;
  const left = () => {
    const at = message().expires_at_ms;
    return at === null ? undefined : Math.max(1, (at - relayNow()) / 1000);
  };
  return (
    <span class="foot" title={origin()}>
      <Show when={message().pinned}>
        <span role="img" aria-label={t().line.pinned}>
          <Icon name="pin" />
        </span>
      </Show>
      <Show when={left()}>
        {(seconds) => (
          <span role="img" aria-label={t().line.expires(span(seconds()))} title={t().line.expires(span(seconds()))}>
            <Icon name="timer" />
          </span>
        )}
      </Show>
      <Show when={message().edited_at_ms}>{(at) => <span title={full(at())}>{t().line.edited}</span>}</Show>
      <time title={full(message().time_ms)}>{clock(message().time_ms)}</time>
      <Show when={message().own && message().kind === "text"}>
        <Marks message={message()} one={props.one} />
      </Show>
    </span>
  );
}

/** What became of a text of one's own. */
function Marks(props: { message: Message; one: Conversation }) {
  const names = (ids: readonly string[]): string => listed(ids.map((id) => nameOf(id, props.one)));
  const state = (): [string, string, "check" | "checks", string] => {
    const { read_by: read, delivered_to: delivered } = props.message;
    const direct = props.one.kind === "direct";
    if (read.length > 0)
      return ["read", direct ? t().line.read : t().line.readBy(names(read)), "checks", t().line.read];
    if (delivered.length > 0)
      return ["delivered", direct ? t().line.delivered : t().line.deliveredTo(names(delivered)), "checks", t().line.delivered];
    return ["sent", t().line.sent, "check", t().line.sent];
  };
  return (
    <span class={`mark ${state()[0]}`} data-mark={state()[0]} role="img" aria-label={state()[3]} title={state()[1]}>
      <Icon name={state()[2]} />
    </span>
  );
}

function Reactions(props: { message: Message; one: Conversation }) {
  return (
    <Show when={props.message.reactions.length > 0}>
      <div class="reactions">
        <For each={props.message.reactions}>
          {(one) => {
            const mine = (): boolean => one.accounts.includes(me() ?? "");
            const names = (): string => listed(one.accounts.map((id) => nameOf(id, props.one)));
            return (
              <button
                type="button"
                class="reaction"
                aria-pressed={mine()}
                aria-label={t().line.reactions(one.emoji, names())}
                title={names()}
                tabindex="-1"
                onClick={() => {
                  if (!mine()) rememberEmoji(one.emoji);
                  void attempt(() => react(props.message, one.emoji, !mine()));
                }}
              >
                <span>{one.emoji}</span>
                <Show when={one.accounts.length > 1}>
                  <span class="reaction-count">{one.accounts.length}</span>
                </Show>
              </button>
            );
          }}
        </For>
      </div>
    </Show>
  );
}

/** A text that waits on this device. */
export function QueuedLine(props: { row: QueuedRow; tab: boolean }) {
  return (
    <div class="row-line">
      <article
        class="message own queued"
        data-key={props.row.key}
        data-queued={props.row.queued.number}
        tabindex={props.tab ? 0 : -1}
        aria-label={t().line.ownLabel(props.row.queued.text ?? "", t().line.waiting)}
      >
        <div class="message-box">
          <div class="bubble">
            <div class="text" dir="auto">
              {props.row.queued.text}
            </div>
            <span class="foot">
              <time>{clock(props.row.queued.since_ms)}</time>
              <span class="mark waiting" data-mark="waiting" role="img" aria-label={t().line.waiting} title={t().line.waiting}>
                <Icon name="clock" />
              </span>
            </span>
          </div>
        </div>
      </article>
    </div>
  );
}

