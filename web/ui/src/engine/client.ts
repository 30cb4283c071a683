/** The engine as a tab sees it, whichever tab's worker runs it. */

import type { Args, Engine, EngineEvent, Failure, Method, Result } from "./api";
import { scriptUrl } from "../trusted";
import { namesOf } from "./agent";
import { type FromTab, type FromWorker, nameOf, type Said, type ToWorker } from "./messages";
import workerUrl from "./worker?worker&url";

/** What a call fails with, for `catch`. */
export class CallFailure extends Error implements Failure {
  readonly code: string;
  readonly retry_after_ms?: number;

  constructor(failure: Failure) {
    super(failure.text);
    this.code = failure.code;
    if (failure.retry_after_ms != null) this.retry_after_ms = failure.retry_after_ms;
  }

  get text(): string {
    return this.message;
  }
}

/** A worker that broke is started again, but not for ever: so often within so many milliseconds is enough. */
const CRASHES_MAX = 3;
const CRASHES_WITHIN_MS = 60_000;

interface Waiting {
  asked: FromTab;
  resolve: (result: never) => void;
  reject: (failure: CallFailure) => void;
}

/** Where the relay is: the page's own origin, or the one that a page on a static host was set up for. */
export function relayOf(page: Document = document): URL {
  const set = page.querySelector<HTMLMetaElement>('meta[name="sotto-relay"]')?.content;
  return new URL(set || ".", page.baseURI);
}

/** Starts this tab's worker and gives the engine when one is there. Rejects when none can be. */
export function connect(relay: URL = relayOf()): Promise<Engine> {
  const channel = new BroadcastChannel(nameOf(relay));
  let worker: Worker;
  const tell = (said: ToWorker) => worker.postMessage(said);
  const waiting = new Map<string, Waiting>();
  const listeners = new Set<(event: EngineEvent) => void>();
  const ask = (asked: FromTab) => {
    channel.postMessage(asked);
  };
  const engine: Engine = {
    call<M extends Method>(method: M, args: Args<M>): Promise<Result<M>> {
      const id = crypto.getRandomValues(new Uint8Array(16)).toHex();
      const asked: FromTab = { to: "engine", id, method, args };
      return new Promise<Result<M>>((resolve, reject) => {
        waiting.set(id, { asked, resolve: resolve as (result: never) => void, reject });
        ask(asked);
      });
    },
    on(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  for (const event of ["online", "pageshow", "focus"]) addEventListener(event, () => tell({ type: "hurry" }));
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") tell({ type: "hurry" });
  });
  return new Promise((resolve, reject) => {
    channel.onmessage = ({ data }: MessageEvent<Said>) => {
      if (data.to !== "tabs") return;
      switch (data.type) {
        case "here":
          for (const { asked } of waiting.values()) ask(asked);
          resolve(engine);
          break;
        case "event":
          for (const listener of listeners) listener(data.event);
          break;
        case "answer": {
          const settled = waiting.get(data.id);
          waiting.delete(data.id);
          settled?.resolve(data.result as never);
          // Another tab's engine was here before this one asked.
          resolve(engine);
          break;
        }
        case "failed":
          waiting.get(data.id)?.reject(new CallFailure(data.failure));
          waiting.delete(data.id);
          break;
        case "broken":
          reject(new Error(data.text));
          break;
      }
    };
    const crashes: number[] = [];
    const crashed = (text: string) => {
      worker.terminate();
      const now = Date.now();
      while (crashes[0] !== undefined && crashes[0] < now - CRASHES_WITHIN_MS) crashes.shift();
      crashes.push(now);
      if (crashes.length < CRASHES_MAX) return start();
      reject(new Error(text));
      for (const listener of listeners) listener({ type: "store_failed", text, full: false });
    };
    const start = () => {
      worker = new Worker(scriptUrl(workerUrl), { type: "module", name: "sotto" });
      worker.onerror = (event) => crashed(event.message || "the engine could not be started");
      worker.onmessage = ({ data }: MessageEvent<FromWorker>) => crashed(data.text);
      tell({ type: "start", relay: relay.href, deviceName: deviceName() });
    };
    start();
    // A tab that opens late: the engine answers.
    void engine.call("state", {}).catch(() => undefined);
  });
}

/** "Firefox on Linux": what a person tells the devices of an account apart by. */
function deviceName(): string {
  const { browser, system } = namesOf(navigator.userAgent);
  return `${browser ?? "Browser"}${system ? ` on ${system}` : ""}`;
}
