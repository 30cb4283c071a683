/** The panel of a call: what rings here, and the call that this tab is in. It stays while one walks through the interface. */
import "../styles/call.css";
import { createEffect, createMemo, createSignal, Match, on, onCleanup, onMount, Show, Switch } from "solid-js";
import type { Call, Id } from "../engine/api.ts";
import { bus, call, conversation, nameOf } from "../state/app.ts";
import { Avatar } from "../ui/avatar.tsx";
import { attempt, remark } from "../ui/overlay.tsx";
import { Controls } from "./controls.tsx";
import { CallIcon } from "./icon.tsx";
import { callView, forgetCall, isInCall, setWanted } from "./open.ts";
import { qualityText } from "./quality.ts";
import { announce, ring } from "./ring.ts";
import { Session } from "./session.ts";
import { Timer } from "./timer.tsx";
import { words } from "./words.ts";

/** How long it is shown how a call ended. */
const OVER_MS = 4_000;

/** The call that runs in this tab. */
const [session, setSession] = createSignal<Session>();
const [over, setOver] = createSignal<Call>();
const [busy, setBusy] = createSignal(false);

/** Begins or takes a call in this tab: first microphone and camera, then the word to the other one. */
async function enter(video: boolean, begin: () => Promise<Id>): Promise<void> {
  if (busy() || session()) return;
  setBusy(true);
  setWanted(true);
  const entered = new Session(video);
  try {
    await entered.local.prepare(video).catch((error: unknown) => {
      remark(words().denied, true);
      throw error;
    });
    if (video && !entered.local.mine().camera) remark(words().pictureDenied, true);
    setOver(undefined);
    setSession(entered);
    await attempt(async () => entered.begin(await begin()));
  } catch {
    // It was said.
  } finally {
    if (entered.call === undefined || entered.isOver) leave(entered);
    setBusy(false);
  }
}

function leave(left: Session): void {
  left.close();
  if (session() === left) setSession(undefined);
}

/** Ends it at both ends; an engine that was started anew meanwhile knows nothing of it, and then it ends here. */
async function hangUp(mine: Session): Promise<void> {
  if (!mine.call) return;
  try {
    await call("call_hang_up", { call: mine.call });
  } catch {
    forgetCall();
    leave(mine);
  }
}

/** What rings here from this conversation. */
function ringing(where: Id): Id | undefined {
  const there = callView();
  return there?.state === "incoming" && there.conversation === where ? there.call : undefined;
}

/** Begins a call. Whoever is called from there meanwhile, as while the microphone is asked for, takes that call: both want the same. */
export async function start(where: Id, video: boolean): Promise<void> {
  if (isInCall() && !ringing(where)) return;
  const begin = async (): Promise<Id> => {
    if (!ringing(where)) {
      try {
        return (await call("call_start", { conversation: where, video })).call;
      } catch (error) {
        if (!ringing(where)) throw error;
      }
    }
    const theirs = ringing(where) as Id;
    await call("call_answer", { call: theirs, video });
    return theirs;
  };
  await enter(video, begin);
}

async function answer(id: Id, video: boolean): Promise<void> {
  await enter(video, async () => {
    await call("call_answer", { call: id, video });
    return id;
  });
}

export default function Panel() {
  const incoming = createMemo(() => (callView()?.state === "incoming" && !session() ? callView() : undefined));
  const running = createMemo(() => (session() && callView()?.state !== "incoming" ? callView() : undefined));
  const shown = (): Call | undefined => incoming() ?? running() ?? over();
  let rings: Id | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = bus.on((event) => {
    if (event.type !== "call" || event.state !== "ended") return;
    const mine = session();
    if (mine?.call === event.call) leave(mine);
    else if (rings !== event.call || event.reason === "ended") return;
    setOver(event);
    clearTimeout(timer);
    timer = setTimeout(() => setOver(undefined), event.reason === "tampered" ? 60_000 : OVER_MS);
  });
  onCleanup(() => {
    stop();
    clearTimeout(timer);
  });
  // Whoever closes the page hangs up; if the word does not get out, the other end notices by the silence.
  const bye = (): void => {
    const mine = session();
    if (mine) void hangUp(mine);
  };
  addEventListener("pagehide", bye);
  onCleanup(() => removeEventListener("pagehide", bye));
  createEffect(
    on(
      () => incoming()?.call,
      (id) => {
        const one = incoming();
        rings = id ?? rings;
        if (id === undefined || !one) return;
        const silence = ring(false);
        const withdraw = announce(one.conversation, nameOf(one.account), one.video ? words().incomingVideo : words().incoming);
        onCleanup(() => {
          silence();
          withdraw();
        });
      },
    ),
  );
  createEffect(
    on(
      () => running()?.state === "ringing",
      (away) => away && onCleanup(ring(true)),
    ),
  );
  return (
    <Show when={shown()}>
      {(one) => {
        const who = (): string => nameOf(one().account, conversation(one().conversation));
        return (
          <section class="call" classList={{ live: !!running() }} aria-label={words().region(who())}>
            <Switch>
              <Match when={incoming()}>
                {(it) => (
                  <>
                    <Who one={it()} name={who()} />
                    <div class="call-buttons">
                      <button
                        type="button"
                        class="button danger"
                        disabled={busy()}
                        onClick={() => void attempt(() => call("call_decline", { call: it().call }))}
                      >
                        {words().decline}
                      </button>
                      <button type="button" class="button" classList={{ primary: !it().video }} disabled={busy()} onClick={() => void answer(it().call, false)}>
                        {words().answer}
                      </button>
                      <Show when={it().video}>
                        <button type="button" class="button primary" disabled={busy()} onClick={() => void answer(it().call, true)}>
                          {words().answerVideo}
                        </button>
                      </Show>
                    </div>
                  </>
                )}
              </Match>
              <Match when={session()}>{(mine) => <Live one={one()} session={mine()} name={who()} />}</Match>
              <Match when={true}>
                <Who one={one()} name={who()} />
              </Match>
            </Switch>
          </section>
        );
      }}
    </Show>
  );
}

function Who(props: { one: Call; name: string }) {
  const text = (): string => {
    const { state, reason, video } = props.one;
    if (state === "ended") return words().reasons[reason ?? "ended"];
    return state === "incoming" && video ? words().incomingVideo : words().states[state];
  };
  return (
    <div class="call-who">
      <Avatar id={props.one.account} name={props.name} />
      <span class="call-names">
        <bdi class="call-name">{props.name}</bdi>
        <span class="call-state" role="status">
          {text()}
        </span>
      </span>
    </div>
  );
}

function Live(props: { one: Call; session: Session; name: string }) {
  const [large, setLarge] = createSignal(matchMedia("(max-width: 720px)").matches);
  const theirs = () => props.one.theirs;
  const seen = (): boolean => (theirs().camera || theirs().screen) && !theirs().held && props.one.since_ms !== null;
  return (
    <div class="call-live" classList={{ large: large() }}>
      <div class="call-head">
        <Who one={props.one} name={props.name} />
        <Show when={props.one.since_ms}>{(since) => <Timer since={since()} />}</Show>
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
          {words().altered}
        </p>
      </Show>
      <div class="call-pictures" classList={{ seen: seen(), alone: !seen() && !props.session.local.picture() }}>
        <Remote session={props.session} label={words().theirPicture(props.name)} seen={seen()} contain={theirs().screen} />
        <Show when={props.session.local.picture()} keyed>
          {(picture) => <Own picture={picture} mirrored={props.session.local.mine().camera} />}
        </Show>
      </div>
      <Show when={theirs().muted || theirs().held || props.session.local.mine().held}>
        <p class="call-note" role="status">
          {props.session.local.mine().held ? words().onHold : theirs().held ? words().theyHold : words().theyMuted}
        </p>
      </Show>
      <p class="call-quality">
        <span class="call-locked">{words().encrypted}</span>
        <span data-quality>{qualityText(props.session.connection.quality())}</span>
      </p>
      <Controls local={props.session.local} end={words().hangUp} onEnd={() => void hangUp(props.session)} />
    </div>
  );
}

/** Sound and picture of the other one. The element plays the sound also where there is no picture to show. */
function Remote(props: { session: Session; label: string; seen: boolean; contain: boolean }) {
  let video!: HTMLVideoElement;
  onMount(() => {
    video.srcObject = props.session.connection.remote;
    onCleanup(props.session.local.playedBy(video));
    void video.play().catch(() => undefined);
  });
  createEffect(() => {
    video.muted = props.session.local.mine().held;
  });
  return (
    <video ref={video} class="call-remote" classList={{ contain: props.contain }} hidden={!props.seen} autoplay playsinline aria-label={props.label}>
      <track kind="captions" />
    </video>
  );
}

function Own(props: { picture: MediaStream; mirrored: boolean }) {
  let video!: HTMLVideoElement;
  onMount(() => {
    video.srcObject = props.picture;
    void video.play().catch(() => undefined);
  });
  return <video ref={video} class="call-own" classList={{ mirrored: props.mirrored }} autoplay playsinline muted aria-label={words().ownPicture} />;
}
