/** Calls, as far as the whole interface knows of them: whether there is one, and how to begin it. The rest is loaded with the first. */
import { createComponent, createSignal, lazy, Show, Suspense } from "solid-js";
import type { Call, Id } from "../engine/api.ts";
import { app, bus, call } from "../state/app.ts";
import { attempt } from "../ui/overlay.tsx";

const load = () => import("./call.tsx");
const Panel = lazy(load);

const [view, setView] = createSignal<Call>();
/** The call that this browser is in, whichever of its tabs has it. */
export { view as callView };

/** The panel has something to show, or may have soon. */
const [wanted, setWanted] = createSignal(false);
export { setWanted };

/** The engine knows nothing of it any more. */
export function forgetCall(): void {
  setView(undefined);
}

export function canCall(): boolean {
  return "RTCPeerConnection" in window && !!navigator.mediaDevices;
}

export function startCall(conversation: Id, video: boolean): void {
  void attempt(async () => (await load()).start(conversation, video));
}

export function watchCalls(): void {
  const take = (event: Call): void => {
    setView(event.state === "ended" ? undefined : event);
    if (event.state === "incoming") setWanted(true);
  };
  let asked = false;
  const ask = async (): Promise<void> => {
    asked = true;
    const there = await call("call").catch(() => null);
    if (there) take(there);
  };
  bus.on((event) => {
    if (event.type === "call") take(event);
    // A tab that is opened while it rings.
    if (event.type === "state" && event.state.phase === "here" && !asked) void ask();
  });
  if (app.state?.phase === "here") void ask();
}

export function CallHost() {
  return createComponent(Show, {
    get when() {
      return wanted() && canCall();
    },
    keyed: true,
    // With a parameter it is called once; without one each change would make the panel anew.
    children: ((_wanted: true) =>
      createComponent(Suspense, {
        get children() {
          return createComponent(Panel, {});
        },
      })) as never,
  });
}
