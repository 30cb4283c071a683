/** Accounts of the relay: who there is, who operates it, and who may not sign in. */
import { createEffect, createSignal, For, on, onCleanup, Show } from "solid-js";
import { t } from "../i18n/index.ts";
import { fullOf } from "../i18n/time.ts";
import { app } from "../state/app.ts";
import { Avatar } from "../ui/avatar.tsx";
import { FailureNote } from "../ui/failure.tsx";
import { Field } from "../ui/field.tsx";
import { Icon } from "../ui/icon.tsx";
import { openMenu } from "../ui/menu.tsx";
import { attempt, confirmed } from "../ui/overlay.tsx";
import { operator, type Account } from "./api.ts";

export function Accounts() {
  const [find, setFind] = createSignal("");
  const [accounts, setAccounts] = createSignal<Account[]>([]);
  const [next, setNext] = createSignal<string | null>();
  const [failure, setFailure] = createSignal<unknown>();
  const [busy, setBusy] = createSignal(true);
  let run = 0;
  let timer: number | undefined;
  onCleanup(() => clearTimeout(timer));

  async function read(cursor?: string | null): Promise<void> {
    const mine = (run += 1);
    setBusy(true);
    try {
      const page = await operator.accounts(find().trim(), cursor);
      if (mine !== run) return;
      setAccounts((all) => (cursor ? [...all, ...page.accounts] : page.accounts));
      setNext(page.next);
      setFailure(undefined);
    } catch (error) {
      if (mine === run) setFailure(error);
    } finally {
      if (mine === run) setBusy(false);
    }
  }
  createEffect(
    on(find, (_, before) => {
      clearTimeout(timer);
      timer = window.setTimeout(() => void read(), before === undefined ? 0 : 250);
    }),
  );

  async function change(one: Account, wish: { role?: string; disabled?: boolean }, sure: string, yes: string): Promise<void> {
    if (sure && !(await confirmed(sure, yes, wish.disabled === true))) return;
    const done = await attempt(() => operator.change(one.id, wish).then(() => true));
    if (done) setAccounts((all) => all.map((other) => (other.id === one.id ? { ...other, ...wish } : other)));
  }
  function menu(one: Account, button: Element): void {
    const words = t().operator;
    openMenu(
      t().info.actions(one.username),
      [
        one.role === "operator"
          ? { label: words.makeUser, icon: "person", run: () => void change(one, { role: "user" }, "", words.makeUser) }
          : {
              label: words.makeOperator,
              icon: "chart",
              run: () => void change(one, { role: "operator" }, words.makeOperatorSure(one.username), words.makeOperator),
            },
        one.disabled
          ? { label: words.enable, icon: "check", run: () => void change(one, { disabled: false }, "", words.enable) }
          : {
              label: words.disable,
              icon: "close",
              danger: true,
              run: () => void change(one, { disabled: true }, words.disableSure(one.username), words.disable),
            },
      ],
      button,
    );
  }
  return (
    <div class="stack">
      <Field label={t().operator.find} type="search" value={find()} onValue={setFind} maxlength={100} />
      <FailureNote error={failure()} />
      <ul class="rows card" role="list" aria-busy={busy()}>
        <For
          each={accounts()}
          fallback={<Show when={!busy() && !failure()}><li class="hint">{t().operator.noAccounts}</li></Show>}
        >
          {(one) => (
            <li data-account={one.username} classList={{ off: one.disabled }}>
              <Avatar id={one.id} name={one.username} size="small" />
              <div class="rows-main">
                <bdi>{one.username}</bdi>
                <span class="hint">
                  <bdi>{one.email}</bdi> · {t().info.devices(one.devices)} · {t().settings.since(fullOf(one.created_at))}
                </span>
              </div>
              <Show when={one.role === "operator"}>
                <span class="badge">{t().settings.role["operator"]}</span>
              </Show>
              <Show when={one.disabled}>
                <span class="badge bad">{t().operator.disabled}</span>
              </Show>
              <Show when={one.id !== app.state?.account}>
                <button
                  type="button"
                  class="icon-button"
                  aria-label={t().info.actions(one.username)}
                  aria-haspopup="menu"
                  onClick={(event) => menu(one, event.currentTarget)}
                >
                  <Icon name="more" />
                </button>
              </Show>
            </li>
          )}
        </For>
      </ul>
      <Show when={next()}>
        <button type="button" class="button quiet" disabled={busy()} onClick={() => void read(next())}>
          {t().common.moreLikeThis}
        </button>
      </Show>
    </div>
  );
}
