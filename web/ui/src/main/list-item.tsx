/** One conversation of the list: who, what was said last, and what waits to be read. */
import { Match, Show, Switch } from "solid-js";
import { t } from "../i18n/index.ts";
import { brief } from "../i18n/time.ts";
import { app, nameOf, peer, titleOf, type Conversation } from "../state/app.ts";
import { openId, to } from "../state/route.ts";
import { Avatar } from "../ui/avatar.tsx";
import { Icon, type IconName } from "../ui/icon.tsx";
import { noticeText, summary } from "../chat/notice.ts";

export function kindIcon(one: Conversation): IconName | undefined {
  return one.kind === "direct" ? undefined : one.kind === "group" ? "people" : "hash";
}

/** What the avatar's colour is made of: the other one, or the conversation. */
export function faceOf(one: Conversation): string {
  return peer(one)?.account ?? one.conversation;
}

export function isHere(one: Conversation): boolean {
  const other = peer(one);
  return !!other && other.account !== app.state?.account && one.present.includes(other.account);
}

export function ListItem(props: { id: string; first: boolean }) {
  const one = () => app.conversations[props.id];
  const current = () => openId() === props.id;
  return (
    <Show when={one()}>
      {(here) => (
        <li>
          <a
            class="item"
            href={to.conversation(props.id)}
            aria-current={current() ? "page" : undefined}
            tabindex={current() || props.first ? 0 : -1}
            data-conversation={props.id}
          >
            <Avatar id={faceOf(here())} name={titleOf(here())} icon={kindIcon(here())} here={isHere(here())} />
            <span class="item-main">
              <span class="item-top">
                <bdi class="item-title">{titleOf(here())}</bdi>
                <Show when={peer(here())?.verified}>
                  <span class="item-verified" title={t().conversation.verified}>
                    <Icon name="shield" />
                  </span>
                </Show>
                <Show when={here().last}>
                  {(last) => <time class="item-time">{brief(last().time_ms)}</time>}
                </Show>
              </span>
              <span class="item-bottom">
                <span class="item-last" dir="auto">
                  <LastLine one={here()} />
                </span>
                <Show when={here().unread > 0}>
                  <span class="unread" aria-label={t().list.unreadCount(here().unread)} role="img">
                    {here().unread > 999 ? "999+" : here().unread}
                  </span>
                </Show>
              </span>
            </span>
            <Show when={isHere(here())}>
              <span class="visually-hidden">{t().list.here}</span>
            </Show>
          </a>
        </li>
      )}
    </Show>
  );
}

function LastLine(props: { one: Conversation }) {
  const last = () => props.one.last;
  const typing = () => props.one.typing.filter((id) => id !== app.state?.account);
  return (
    <Switch>
      <Match when={props.one.standing === "joining"}>{t().list.joining}</Match>
      <Match when={typing().length > 0}>
        <span class="item-typing">
          {props.one.kind === "direct" ? t().list.typing : `${nameOf(typing()[0] ?? "", props.one)} ${t().list.typing}`}
        </span>
      </Match>
      <Match when={props.one.draft && openId() !== props.one.conversation}>
        <span class="item-draft">{t().list.draft}</span> {props.one.draft.slice(0, 120)}
      </Match>
      <Match when={props.one.queued > 0}>
        <span class="item-draft">{t().list.queued(props.one.queued)}</span>
      </Match>
      <Match when={last()}>
        {(line) => (
          <Show when={line().kind === "text"} fallback={<em>{noticeText(line(), props.one)}</em>}>
            <Show when={line().own || props.one.kind !== "direct"}>
              <span class="item-who">{line().own ? t().line.youSaid : line().username}: </span>
            </Show>
            {summary(line())}
          </Show>
        )}
      </Match>
    </Switch>
  );
}
