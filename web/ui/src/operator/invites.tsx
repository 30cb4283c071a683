/** All invites of the relay, and its listed rooms. */
import { createSignal, For, onMount, Show } from "solid-js";
import { t } from "../i18n/index.ts";
import { count, fullOf } from "../i18n/time.ts";
import { createAction, FailureNote } from "../ui/failure.tsx";
import { Choice } from "../ui/field.tsx";
import { Icon } from "../ui/icon.tsx";
import { createLoad } from "../ui/load.ts";
import { attempt, confirmed, copyText } from "../ui/overlay.tsx";
import { operator, type OperatorInvite } from "./api.ts";

const HOUR = 3_600;

export function Invites() {
  const [invites, setInvites] = createSignal<OperatorInvite[]>([]);
  const [next, setNext] = createSignal<string | null>();
  const [uses, setUses] = createSignal("1");
  const [expires, setExpires] = createSignal(String(72 * HOUR));
  const action = createAction();

  const read = (cursor?: string | null) =>
    action.run(async () => {
      const page = await operator.invites(cursor);
      setInvites((all) => (cursor ? [...all, ...page.invites] : page.invites));
      setNext(page.next);
    });
  onMount(() => void read());

  async function make(): Promise<void> {
    const made = await action.run(() => operator.invite(Number(uses()), Number(expires())).then(() => true));
    if (made) await read();
  }
  async function revoke(code: string): Promise<void> {
    if (!(await confirmed(t().operator.revokeSure, t().operator.revoke))) return;
    if (await attempt(() => operator.revoke(code).then(() => true)))
      setInvites((all) => all.filter((one) => one.code !== code));
  }
  const link = (code: string): string => new URL(`#/i/${encodeURIComponent(code)}`, location.href.replace(/#.*/u, "")).href;
  return (
    <div class="stack">
      <form
        class="card stack"
        onSubmit={(event) => {
          event.preventDefault();
          void make();
        }}
      >
        <div class="two">
          <Choice
            label={t().invite.uses}
            value={uses()}
            options={["1", "5", "20", "100"].map((one) => [one, one] as const)}
            onValue={setUses}
          />
          <Choice
            label={t().invite.expires}
            value={expires()}
            options={[
              [String(24 * HOUR), t().invite.days(1)],
              [String(72 * HOUR), t().invite.days(3)],
              [String(168 * HOUR), t().invite.days(7)],
            ]}
            onValue={setExpires}
          />
        </div>
        <FailureNote error={action.failure()} />
        <button type="submit" class="button primary" disabled={action.busy()}>
          {t().operator.newInvite}
        </button>
      </form>
      <ul class="rows card" role="list">
        <For
          each={invites()}
          fallback={<Show when={!action.busy() && !action.failure()}><li class="hint">{t().operator.noInvites}</li></Show>}
        >
          {(one) => (
            <li>
              <div class="rows-main">
                <code class="copy-text" translate="no">
                  {one.code}
                </code>
                <span class="hint">
                  {t().operator.uses(count(one.uses), count(one.uses_left))} ·{" "}
                  {one.expires_at ? t().operator.expires(fullOf(one.expires_at)) : t().operator.never}
                  <Show when={one.conversation}> · {t().operator.forConversation}</Show>
                </span>
              </div>
              <button
                type="button"
                class="icon-button"
                aria-label={`${t().common.copy} ${one.code}`}
                onClick={() => void copyText(link(one.code))}
              >
                <Icon name="copy" />
              </button>
              <button
                type="button"
                class="button small quiet"
                aria-label={`${t().operator.revoke} ${one.code}`}
                onClick={() => void revoke(one.code)}
              >
                {t().operator.revoke}
              </button>
            </li>
          )}
        </For>
      </ul>
      <Show when={next()}>
        <button type="button" class="button quiet" disabled={action.busy()} onClick={() => void read(next())}>
          {t().common.moreLikeThis}
        </button>
      </Show>
    </div>
  );
}

export function Rooms() {
  const rooms = createLoad(() => operator.rooms());
  return (
    <>
      <FailureNote error={rooms.error()} />
      <ul class="rows card" role="list">
        <For
          each={rooms.value()?.rooms}
          fallback={<Show when={!rooms.loading() && !rooms.error()}><li class="hint">{t().operator.noRooms}</li></Show>}
        >
          {(room) => (
            <li>
              <Icon name="hash" />
              <div class="rows-main">
                <bdi>{room.name}</bdi>
                <span class="hint">
                  {t().conversation.members(room.members)} · {t().operator.stats.messages}: {count(room.messages)}
                </span>
              </div>
            </li>
          )}
        </For>
      </ul>
    </>
  );
}
