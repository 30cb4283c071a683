/** Who one talks to here, and the way to everything about the conversation. */
import { Show } from "solid-js";
import { canCall, canCallGroups, isInCall, startCall, startGroupCall } from "../call/open.ts";
import { openInvite, openSafety } from "../dialogs/open.ts";
import { t } from "../i18n/index.ts";
import { span } from "../i18n/time.ts";
import { isMember, peer, titleOf, type Conversation } from "../state/app.ts";
import { go, to } from "../state/route.ts";
import { faceOf, isHere, kindIcon } from "../main/list-item.tsx";
import { Avatar } from "../ui/avatar.tsx";
import { Icon } from "../ui/icon.tsx";
import { openMenu, type Item } from "../ui/menu.tsx";
import { askLeave, askRename, askTimer } from "../panels/actions.tsx";

export function Header(props: { one: Conversation }) {
  const other = () => peer(props.one);
  const detail = (): string => {
    const words = t().conversation;
    if (props.one.kind === "direct") return isHere(props.one) ? words.online : words.offline;
    const here = props.one.present_count;
    return words.members(props.one.members) + (here === null ? "" : ` · ${words.here(here)}`);
  };
  const begin = () => {
    if (!isMember(props.one)) return undefined;
    if (props.one.kind === "direct") return canCall() ? startCall : undefined;
    return props.one.kind === "group" && canCallGroups() ? startGroupCall : undefined;
  };
  function menu(button: Element): void {
    const id = props.one.conversation;
    const items: Item[] = [
      { label: t().conversation.info, icon: "info", run: () => go(to.panel(id, "info")) },
      { label: t().conversation.pins, icon: "pin", run: () => go(to.panel(id, "pins")) },
      { label: t().conversation.search, icon: "search", run: () => go(to.panel(id, "search")) },
    ];
    if (isMember(props.one)) {
      const account = other()?.account;
      if (props.one.kind === "direct" && account)
        items.push({ label: t().info.verify, icon: "shield", run: () => openSafety(account) });
      else {
        items.push({ label: t().info.invite, icon: "link", run: () => openInvite(id) });
        items.push({ label: t().info.rename, icon: "edit", run: () => askRename(props.one) });
      }
      items.push({ label: t().info.timer, icon: "timer", run: () => askTimer(props.one) });
      if (props.one.kind !== "direct")
        items.push({ label: t().info.leave, icon: "out", danger: true, run: () => void askLeave(props.one) });
    }
    openMenu(t().common.more, items, button);
  }
  return (
    <header class="chat-head">
      <a class="icon-button back" href="#/" aria-label={t().common.back}>
        <Icon name="back" />
      </a>
      <a class="chat-who" href={to.panel(props.one.conversation, "info")} title={t().conversation.info}>
        <Avatar id={faceOf(props.one)} name={titleOf(props.one)} icon={kindIcon(props.one)} here={isHere(props.one)} size="small" />
        <span class="chat-names">
          <span class="chat-title">
            <h1>
              <bdi>{titleOf(props.one)}</bdi>
            </h1>
            <Show when={other()?.verified}>
              <span class="item-verified" role="img" aria-label={t().conversation.verified}>
                <Icon name="shield" />
              </span>
            </Show>
          </span>
          <span class="chat-detail">
            {detail()}
            <Show when={props.one.timer}>
              {(seconds) => (
                <span title={t().conversation.timerOn(span(seconds()))}>
                  {" · "}
                  <Icon name="timer" class="inline" /> {span(seconds())}
                </span>
              )}
            </Show>
          </span>
        </span>
      </a>
      <Show when={begin()} keyed>
        {(call) => (
          <>
            <button
              type="button"
              class="icon-button"
              aria-label={t().conversation.voiceCall}
              disabled={isInCall()}
              onClick={() => call(props.one.conversation, false)}
            >
              <Icon name="phone" />
            </button>
            <button
              type="button"
              class="icon-button"
              aria-label={t().conversation.videoCall}
              disabled={isInCall()}
              onClick={() => call(props.one.conversation, true)}
            >
              <Icon name="camera" />
            </button>
          </>
        )}
      </Show>
      <Show when={props.one.pins.length > 0}>
        <a class="icon-button wide-only" href={to.panel(props.one.conversation, "pins")} aria-label={t().conversation.pins}>
          <Icon name="pin" />
        </a>
      </Show>
      <a class="icon-button wide-only" href={to.panel(props.one.conversation, "search")} aria-label={t().conversation.search}>
        <Icon name="search" />
      </a>
      <button
        type="button"
        class="icon-button"
        aria-label={t().common.more}
        aria-haspopup="menu"
        onClick={(event) => menu(event.currentTarget)}
      >
        <Icon name="more" />
      </button>
    </header>
  );
}
