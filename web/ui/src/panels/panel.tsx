/** What lies beside a conversation: details and members, pins, or a search. On a phone it covers the conversation. */
import { createEffect, createSignal, For, Match, on, onCleanup, onMount, Show, Switch } from "solid-js";
import { t } from "../i18n/index.ts";
import { full } from "../i18n/time.ts";
import { bus, call, type Conversation } from "../state/app.ts";
import { to, type Panel as Which } from "../state/route.ts";
import { Icon } from "../ui/icon.tsx";
import { createLoad } from "../ui/load.ts";
import { Spans } from "../ui/spans.tsx";
import { Hits } from "./hits.tsx";
import { Info } from "./info.tsx";

export default function Panel(props: { one: Conversation; which: Which }) {
  let box!: HTMLElement;
  const title = (): string =>
    props.which === "info"
      ? t().info.title
      : props.which === "pins"
        ? t().conversation.pins
        : t().conversation.search;
  createEffect(
    on(
      () => props.which,
      () => (box.querySelector<HTMLElement>("[data-focus]") ?? box.querySelector<HTMLElement>("a.icon-button"))?.focus(),
    ),
  );
  return (
    <aside ref={box} class="panel" aria-label={title()}>
      <header class="panel-head">
        <a class="icon-button" href={to.conversation(props.one.conversation)} aria-label={t().common.close}>
          <Icon name="close" />
        </a>
        <h1>{title()}</h1>
      </header>
      <div class="panel-body">
        <Switch>
          <Match when={props.which === "info"}>
            <Info one={props.one} />
          </Match>
          <Match when={props.which === "pins"}>
            <Pins one={props.one} />
          </Match>
          <Match when={props.which === "search"}>
            <Search one={props.one} />
          </Match>
        </Switch>
      </div>
    </aside>
  );
}

function Pins(props: { one: Conversation }) {
  const pins = createLoad(
    () => call("pins", { conversation: props.one.conversation }),
    () => `${props.one.conversation} ${props.one.pins.join()}`,
  );
  onMount(() =>
    onCleanup(
      bus.on((event) => {
        if (event.type === "changed" && event.conversation === props.one.conversation) void pins.again();
      }),
    ),
  );
  return (
    <Show
      when={(pins.value() ?? []).length > 0}
      fallback={
        <Show when={!pins.loading()}>
          <div class="panel-empty">
            <Icon name="pin" />
            <p>{t().info.noPins}</p>
            <p class="hint">{t().info.noPinsHint}</p>
          </div>
        </Show>
      }
    >
      <ul class="hits" role="list">
        <For each={pins.value()}>
          {(pin) => (
            <li>
              <a class="hit" href={to.line(pin.conversation, pin.sequence, "pins")}>
                <span class="hit-top">
                  <bdi class="hit-who">{pin.own ? t().line.youSaid : pin.username}</bdi>
                  <time>{full(pin.time_ms)}</time>
                </span>
                <span class="hit-text" dir="auto">
                  <Spans spans={pin.spans ?? []} plain />
                </span>
              </a>
            </li>
          )}
        </For>
      </ul>
    </Show>
  );
}

function Search(props: { one: Conversation }) {
  const [text, setText] = createSignal("");
  const [settled, setSettled] = createSignal("");
  let timer: number | undefined;
  onCleanup(() => clearTimeout(timer));
  return (
    <>
      <div class="search-box">
        <Icon name="search" />
        <input
          type="search"
          dir="auto"
          maxlength="200"
          data-focus
          aria-label={t().conversation.search}
          placeholder={t().list.search}
          value={text()}
          onInput={(event) => {
            setText(event.currentTarget.value);
            clearTimeout(timer);
            timer = window.setTimeout(() => setSettled(text().trim()), 200);
          }}
        />
      </div>
      <Show when={settled().length > 1}>
        <Hits words={settled()} conversation={props.one.conversation} />
      </Show>
    </>
  );
}
