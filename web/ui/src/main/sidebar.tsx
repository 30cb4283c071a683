/** The list of conversations, with its search and filters. */
import { createSignal, For, Show } from "solid-js";
import { openCreate, openInvite, openKeys } from "../dialogs/open.ts";
import { t } from "../i18n/index.ts";
import { app } from "../state/app.ts";
import { go, to } from "../state/route.ts";
import { Avatar } from "../ui/avatar.tsx";
import { Icon } from "../ui/icon.tsx";
import { openMenu } from "../ui/menu.tsx";
import { rove } from "../ui/roving.ts";
import { Hits } from "../panels/hits.tsx";
import { AskToNotify, ConnectionState } from "./banners.tsx";
import { FILTERS, filter, query, setFilter, setQuery, shownIds } from "./filter.ts";
import { ListItem } from "./list-item.tsx";

export function Sidebar() {
  let list!: HTMLUListElement;
  const [settled, setSettled] = createSignal("");
  let timer: number | undefined;
  const search = (text: string): void => {
    setQuery(text);
    clearTimeout(timer);
    timer = window.setTimeout(() => setSettled(text.trim()), 200);
  };

  function menu(button: Element): void {
    openMenu(
      t().list.menu,
      [
        { label: t().settings.title, icon: "gear", run: () => go(to.settings()) },
        { label: t().settings.invitePeople, icon: "link", run: () => openInvite() },
        ...(app.state?.role === "operator"
          ? [{ label: t().settings.operator, icon: "chart" as const, run: () => go(to.operator()) }]
          : []),
        { label: t().settings.shortcuts, icon: "info", run: openKeys },
      ],
      button,
    );
  }

  return (
    <aside class="sidebar" aria-label={t().list.label}>
      <header class="sidebar-head">
        <button
          type="button"
          class="me"
          aria-label={t().list.menu}
          aria-haspopup="menu"
          onClick={(event) => menu(event.currentTarget)}
        >
          <Avatar id={app.state?.account ?? ""} name={app.state?.username ?? ""} size="small" />
        </button>
        <h1 class="sidebar-title">
          <bdi>{app.state?.username}</bdi>
        </h1>
        <button type="button" class="icon-button" aria-label={t().list.new} onClick={() => openCreate()}>
          <Icon name="plus" />
        </button>
      </header>
      <div class="search-box">
        <Icon name="search" />
        <input
          type="search"
          dir="auto"
          maxlength="200"
          placeholder={t().list.search}
          aria-label={t().list.searchLabel}
          value={query()}
          onInput={(event) => search(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape" && query()) {
              event.preventDefault();
              event.stopPropagation();
              search("");
            } else if (event.key === "ArrowDown") {
              event.preventDefault();
              list.querySelector("a")?.focus();
            } else if (event.key === "Enter") {
              const [first] = shownIds();
              if (first && query()) go(to.conversation(first));
            }
          }}
        />
        <Show when={query()}>
          <button type="button" class="icon-button small" aria-label={t().common.clear} onClick={() => search("")}>
            <Icon name="close" />
          </button>
        </Show>
      </div>
      <div
        class="chips"
        role="group"
        aria-label={t().list.filter}
        onKeyDown={(event) => rove(event, "button", true)}
      >
        <For each={FILTERS}>
          {(one) => (
            <button
              type="button"
              class="chip"
              aria-pressed={filter() === one}
              tabindex={filter() === one ? 0 : -1}
              onClick={() => setFilter(one)}
            >
              {t().list[one]}
            </button>
          )}
        </For>
      </div>
      <nav class="list" aria-label={t().list.label}>
        <ul ref={list} role="list" onKeyDown={(event) => rove(event, "a")}>
          <For each={shownIds()}>{(id, at) => <ListItem id={id} first={at() === 0} />}</For>
        </ul>
        <Show when={app.listed && shownIds().length === 0 && !query()}>
          <Show
            when={filter() === "all"}
            fallback={<p class="list-none">{t().list.noneMatch}</p>}
          >
            <div class="list-empty">
              <p class="list-empty-title">{t().list.empty}</p>
              <p class="hint">{t().list.emptyHint}</p>
              <button type="button" class="button primary" onClick={() => openCreate()}>
                {t().list.new}
              </button>
              <button type="button" class="button quiet" onClick={() => openInvite()}>
                {t().settings.invitePeople}
              </button>
            </div>
          </Show>
        </Show>
        <Show when={settled().length > 1}>
          <h2 class="list-heading">{t().list.messages}</h2>
          <Hits words={settled()} />
        </Show>
      </nav>
      <AskToNotify />
      <ConnectionState />
    </aside>
  );
}
