/** The panel of a group's call: what rings here, and the call that this tab is in, with a tile for each device. */
import { createEffect, createMemo, createSignal, For, Match, on, onCleanup, Show, Switch } from "solid-js";
import type { GroupCall, Id } from "../engine/api.ts";
import { bus, call, conversation, failureOf, nameOf, titleOf } from "../state/app.ts";
import { faceOf, kindIcon } from "../main/list-item.tsx";
import { Avatar } from "../ui/avatar.tsx";
import { explain } from "../ui/failure.tsx";
import { attempt, remark } from "../ui/overlay.tsx";
import { Controls } from "./controls.tsx";
import { GroupSession } from "./group-session.ts";
import { groupWords, type Reason } from "./group-words.ts";
import { CallIcon } from "./icon.tsx";
import { callView, groupCalls, isInCall, setGroupWanted } from "./open.ts";
import { announce, ring } from "./ring.ts";
import { Tile } from "./tile.tsx";
import { Timer } from "./timer.tsx";
import { words } from "./words.ts";

/** How long it is shown how a call ended. */
const OVER_MS = 4_000;

/** What is shown of a call that is over for this tab. */
interface Over {
  one: GroupCall;
  reason: Reason;
}

/** The call that this tab is in. */
const [session, setSession] = createSignal<GroupSession>();
const [over, setOver] = createSignal<Over>();
const [joining, setJoining] = createSignal(false);
export { joining as isJoining };

export function hasSession(): boolean {
  return session() !== undefined;
}

/** Begins a call or joins the one that goes on there: first microphone and camera, then the word to the others. */
export async function join(where: Id, video: boolean): Promise<void> {
  if (joining() || isInCall()) return;
  setJoining(true);
  setGroupWanted(true);
  const entered = new GroupSession((reason) => {
    void goOut(entered);
    leave(entered, reason);
  });
  try {
    await entered.local.prepare(video).catch((error: unknown) => {
      remark(words().denied, true);
      throw error;
    });
    if (video && !entered.local.mine().camera) remark(words().pictureDenied, true);
    setOver(undefined);
    setSession(entered);
    await call("group_call_join", { conversation: where, video }).then(
      ({ call: id }) => entered.begin(id),
      (error: unknown) => {
        remark(failureOf(error).code === "group_call_full" ? groupWords().reasons.full : explain(error), true);
        throw error;
      },
    );
  } catch {
    // It was said.
  } finally {
    if (entered.call() === undefined) leave(entered);
    setJoining(false);
  }
}

let timer: ReturnType<typeof setTimeout> | undefined;

/** It is over for this tab; with a reason it is shown why. */
function leave(left: GroupSession, reason?: Reason, one = groupCalls().find(({ call: id }) => id === left.call())): void {
  left.close();
  if (session() !== left) return;
  setSession(undefined);
  if (!reason || !one) return;
  setOver({ one, reason });
  clearTimeout(timer);
  timer = setTimeout(() => setOver(undefined), OVER_MS);
}

/** An engine that was started anew meanwhile knows nothing of it; then it ends here. */
async function goOut(mine: GroupSession): Promise<void> {
  const id = mine.call();
  if (id) await call("group_call_leave", { call: id }).catch(() => leave(mine, "left"));
}

export function Panel() {
  const ringing = createMemo(() =>
    session() || callView() ? undefined : groupCalls().find(({ state }) => state === "ringing"),
  );
  const running = createMemo(() => {
    const mine = session();
    if (!mine) return undefined;
    // Which one it is, is known a moment after it stands.
    return groupCalls().find((one) => one.state === "joined" && [undefined, one.call, one.replaces].includes(mine.call()));
  });
  const shown = (): GroupCall | undefined => running() ?? ringing() ?? over()?.one;
  onCleanup(
    bus.on((event) => {
      if (event.type !== "group_call" || !event.reason) return;
      const mine = session();
      if (mine?.call() === event.call) leave(mine, event.reason, event);
    }),
  );
  // Whoever closes the page leaves; if the word does not get out, the others notice by the silence.
  const bye = (): void => {
    const mine = session();
    if (mine) void goOut(mine);
  };
  addEventListener("pagehide", bye);
  onCleanup(() => removeEventListener("pagehide", bye));
  createEffect(
    on(
      () => ringing()?.call,
      (id) => {
        const one = ringing();
        if (id === undefined || !one) return;
        const silence = ring(false);
        const where = conversation(one.conversation);
        const withdraw = announce(one.conversation, where ? titleOf(where) : "Sotto", invitation(one));
        onCleanup(() => {
          silence();
          withdraw();
        });
      },
    ),
  );
  return (
    <Show when={shown()}>
      {(one) => (
        <section class="call group" classList={{ live: !!running() }} aria-label={groupWords().region(groupOf(one()))}>
          <Switch fallback={<Who one={one()} text={groupWords().reasons[over()?.reason ?? "over"]} />}>
            <Match when={running() && session()}>{(mine) => <Live one={one()} session={mine()} />}</Match>
            <Match when={ringing()}>{(it) => <Ringing one={it()} />}</Match>
          </Switch>
        </section>
      )}
    </Show>
  );
}

function groupOf(one: GroupCall): string {
  const where = conversation(one.conversation);
  return where ? titleOf(where) : "";
}

function invitation(one: GroupCall): string {
  const who = nameOf(one.account, conversation(one.conversation));
  return one.video ? groupWords().callsVideo(who, groupOf(one)) : groupWords().calls(who, groupOf(one));
}

function Ringing(props: { one: GroupCall }) {
  return (
    <>
      <Who one={props.one} text={invitation(props.one)} />
      <div class="call-buttons">
        <button
          type="button"
          class="button danger"
          disabled={joining()}
          onClick={() => void attempt(() => call("group_call_decline", { call: props.one.call }))}
        >
          {words().decline}
        </button>
        <button
          type="button"
          class="button"
          classList={{ primary: !props.one.video }}
          disabled={joining()}
          onClick={() => void join(props.one.conversation, false)}
        >
          {groupWords().join}
        </button>
        <Show when={props.one.video}>
          <button type="button" class="button primary" disabled={joining()} onClick={() => void join(props.one.conversation, true)}>
            {groupWords().joinVideo}
          </button>
        </Show>
      </div>
    </>
  );
}

function Who(props: { one: GroupCall; text: string }) {
  const where = () => conversation(props.one.conversation);
  return (
    <div class="call-who">
      <Show when={where()}>{(it) => <Avatar id={faceOf(it())} name={titleOf(it())} icon={kindIcon(it())} />}</Show>
      <span class="call-names">
        <bdi class="call-name">{groupOf(props.one)}</bdi>
        <span class="call-state" role="status">
          {props.text}
        </span>
      </span>
    </div>
  );
}

function Live(props: { one: GroupCall; session: GroupSession }) {
  const [large, setLarge] = createSignal(matchMedia("(max-width: 720px)").matches);
  // The own tile comes last.
  const devices = createMemo(() => [...props.one.people].sort((one, other) => Number(one.own) - Number(other.own)).map(({ device }) => device));
  const count = (): number => props.one.people.length;
  return (
    <div class="call-live" classList={{ large: large() }}>
      <div class="call-head">
        <Who one={props.one} text={count() > 1 ? groupWords().people(count()) : groupWords().alone} />
        <Timer since={props.one.since_ms} />
        <button
          type="button"
          class="icon-button"
          aria-label={large() ? words().smaller : words().larger}
          aria-pressed={large()}
          onClick={() => setLarge(!large())}
        >
          <CallIcon name={large() ? "smaller" : "larger"} />
        </button>
      </div>
      <Show when={props.one.altered}>
        <p class="call-warning" role="alert">
          {groupWords().altered}
        </p>
      </Show>
      <ul class="tiles" data-count={count()}>
        <For each={devices()}>
          {(device) => (
            <Show when={props.one.people.find((one) => one.device === device)}>
              {(person) => <Tile person={person()} session={props.session} within={props.one.conversation} />}
            </Show>
          )}
        </For>
      </ul>
      <p class="call-quality">{groupWords().encrypted}</p>
      <Controls local={props.session.local} end={groupWords().leave} onEnd={() => void goOut(props.session)} />
    </div>
  );
}
