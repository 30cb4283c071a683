/** Calls, as far as the whole interface knows of them: whether there is one, and how to begin it. The rest is loaded with the first. */
import { type Component, createComponent, createSignal, type JSX, lazy, Show, Suspense } from "solid-js";
import type { Call, GroupCall, Id } from "../engine/api.ts";
import { app, bus, call } from "../state/app.ts";
import { attempt } from "../ui/overlay.tsx";

const load = () => import("./call.tsx");
const Panel = lazy(load);
const loadGroup = () => import("./group.tsx");
const GroupPanel = lazy(() => loadGroup().then(({ Panel }) => ({ default: Panel })));
export const GroupBar = lazy(() => loadGroup().then(({ Bar }) => ({ default: Bar })));

const [view, setView] = createSignal<Call>();
/** The call that this browser is in, whichever of its tabs has it. */
export { view as callView };

/** Calls of groups that are known to go on. */
const [groups, setGroups] = createSignal<readonly GroupCall[]>([]);
export { groups as groupCalls };

/** The panel has something to show, or may have soon. */
const [wanted, setWanted] = createSignal(false);
const [groupWanted, setGroupWanted] = createSignal(false);
export { setGroupWanted, setWanted };

/** The engine knows nothing of it any more. */
export function forgetCall(): void {
  setView(undefined);
}

export function groupCallIn(conversation: Id): GroupCall | undefined {
  return groups().find((one) => one.conversation === conversation);
}

/** This browser is in a call, or a call of two rings here. */
export function isInCall(): boolean {
  return view() !== undefined || groups().some(({ state }) => state === "joined");
}

export function canCall(): boolean {
  return "RTCPeerConnection" in window && !!navigator.mediaDevices;
}

/** What calls of groups are sealed by is younger than calls. */
export function canCallGroups(): boolean {
  return canCall() && "RTCRtpScriptTransform" in window;
}

export function startCall(conversation: Id, video: boolean): void {
  void attempt(async () => (await load()).start(conversation, video));
}

export function startGroupCall(conversation: Id, video: boolean): void {
  void attempt(async () => (await loadGroup()).join(conversation, video));
}

export function watchCalls(): void {
  const take = (event: Call): void => {
    setView(event.state === "ended" ? undefined : event);
    if (event.state === "incoming") setWanted(true);
  };
  const knowGroups = (all: readonly GroupCall[]): void => {
    setGroups(all.filter(({ state }) => state !== "ended"));
    if (all.some(({ state }) => state === "ringing")) setGroupWanted(true);
  };
  const takeGroup = (event: GroupCall): void => {
    const isSame = (one: GroupCall): boolean => one.call === event.call || one.call === event.replaces;
    const others = groups().filter((one) => !isSame(one));
    const place = groups().findIndex(isSame);
    knowGroups(others.toSpliced(place < 0 ? others.length : place, 0, event));
  };
  let asked = false;
  const ask = async (): Promise<void> => {
    asked = true;
    const there = await call("call").catch(() => null);
    if (there) take(there);
  };
  // An engine that has just connected may be another one than before: what it does not know of is over.
  const askGroups = async (): Promise<void> => {
    const there = await call("group_calls").catch(() => null);
    if (there) knowGroups(there);
  };
  let connected = false;
  const look = (): void => {
    const before = connected;
    connected = app.state?.phase === "here" && app.state.status.status === "synchronised";
    if (connected && !before) void askGroups();
    if (app.state?.phase === "empty") setGroups([]);
  };
  bus.on((event) => {
    if (event.type === "call") take(event);
    if (event.type === "group_call") takeGroup(event);
    if (event.type !== "state") return;
    // A tab that is opened while it rings.
    if (event.state.phase === "here" && !asked) void ask();
    look();
  });
  if (app.state?.phase === "here") void ask();
  look();
}

function host(isWanted: () => boolean, panel: Component): JSX.Element {
  return createComponent(Show, {
    get when() {
      return isWanted() && canCall();
    },
    keyed: true,
    // With a parameter it is called once; without one each change would make the panel anew.
    children: ((_wanted: true) =>
      createComponent(Suspense, {
        get children() {
          return createComponent(panel, {});
        },
      })) as never,
  });
}

export function CallHost(): JSX.Element {
  return [host(wanted, Panel), host(() => groupWanted() && canCallGroups(), GroupPanel)];
}
