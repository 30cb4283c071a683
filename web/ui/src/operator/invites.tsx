/** All invites of the relay, and its listed rooms. */
import { createSignal, For, onMount, Show } from "solid-js";
import { t } from "../i18n/index.ts";
import { count, fullOf } from "../i18n/time.ts";
import { createAction, FailureNote } from "../ui/failure.tsx";
import { Choice } from "../ui/field.tsx";
import { Icon } from "../ui/icon.tsx";
import { createLoad } from "../ui/load.ts";
import { attempt, confirmed } from "../ui/overlay.tsx";
import { Copyable } from "../ui/copyable.tsx";
import { Qr } from "../ui/qr.tsx";
import { operator, type OperatorInvite, type Room } from "./api.ts";

const HOUR = 3_600;

export function Invites() {
  const [invites, setInvites] = createSignal<OperatorInvite[]>([]);
  const [next, setNext] = createSignal<string | null>();
  const [uses, setUses] = createSignal("1");
  const [expires, setExpires] = createSignal(String(72 * HOUR));
  const [fresh, setFresh] = createSignal<string>();
  const action = createAction();

  const read = (cursor?: string | null) =>
    action.run(async () => {
      const page = await operator.invites(cursor);
      setInvites((all) => (cursor ? [...all, ...page.invites] : page.invites));
      setNext(page.next);
    });
  onMount(() => void read());

  async function make(): Promise<void> {
    const made = await action.run(() => operator.invite(Number(uses()), Number(expires())));
    if (!made) return;
    setFresh(made.web);
    await read();
  }
  async function revoke(id: string): Promise<void> {
    if (!(await confirmed(t().operator.revokeSure, t().operator.revoke))) return;
    if (await attempt(() => operator.revoke(id).then(() => true)))
      setInvites((all) => all.filter((one) => one.id !== id));
  }
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
        <Show when={fresh()}>
          {(link) => (
            <>
              <Qr text={link()} label={t().invite.qr} />
              <Copyable label={t().operator.shownOnce} text={link()} />
            </>
          )}
        </Show>
      </form>
      <ul class="rows card" role="list">
        <For
          each={invites()}
          fallback={<Show when={!action.busy() && !action.failure()}><li class="hint">{t().operator.noInvites}</li></Show>}
        >
          {(one) => (
            <li>
              <div class="rows-main">
                <span>
                  {t().operator.uses(one.uses_left)}
                  <Show when={one.conversation}> · {t().operator.forConversation}</Show>
                </span>
                <span class="hint">
                  {t().settings.since(fullOf(one.created_at))} · {t().operator.expires(fullOf(one.expires_at))}
                </span>
              </div>
              <button
                type="button"
                class="button small quiet"
                aria-label={`${t().operator.revoke} ${one.id.slice(0, 8)}`}
                onClick={() => void revoke(one.id)}
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
  const [more, setMore] = createSignal<Room[]>([]);
  const [next, setNext] = createSignal<string | null>();
  const rooms = createLoad(async () => {
    const page = await operator.rooms();
    setNext(page.next);
    return page.rooms;
  });
  const on = (): Promise<unknown> =>
    attempt(async () => {
      const page = await operator.rooms(next());
      setMore((all) => [...all, ...page.rooms]);
      setNext(page.next);
    });
  return (
    <>
      <FailureNote error={rooms.error()} />
      <ul class="rows card" role="list">
        <For
          each={[...(rooms.value() ?? []), ...more()]}
          fallback={<Show when={!rooms.loading() && !rooms.error()}><li class="hint">{t().operator.noRooms}</li></Show>}
        >
          {(room) => (
            <li>
              <Icon name="hash" />
              <div class="rows-main">
                <bdi>{room.name ?? room.id.slice(0, 8)}</bdi>
                <span class="hint">
                  {t().conversation.members(room.members)} · {t().operator.stats.messages}: {count(room.messages)}
                </span>
              </div>
            </li>
          )}
        </For>
      </ul>
      <Show when={next()}>
        <button type="button" class="button quiet" onClick={() => void on()}>
          {t().common.moreLikeThis}
        </button>
      </Show>
    </>
  );
}
