/** The worker of a tab: waits for the lock, then runs the engine for all tabs. */

import type { EngineEvent, Failure } from "./api";
import { intendToWipe, open, wipe } from "./files";
import { Host } from "./host";
import { type FromEngine, type FromWorker, nameOf, type Said, type ToWorker } from "./messages";
import init, { WebEngine } from "./wasm/sotto_web.js";
import wasm from "./wasm/sotto_web_bg.wasm?url";

/** Ids of requests that were answered, lest a repetition that crossed its answer be carried out again. */
const ANSWERED_MAX = 1_000;

/** How often it is looked whether what is stored is still there. */
const LOOK_EVERY_MS = 60_000;

/** Calls that change nothing that lasts: repeating them is harmless, remembering them is not worth a row. */
const CHANGES = new Set([
  "send",
  "send_file",
  "edit",
  "delete",
  "react",
  "pin",
  "set_timer",
  "create",
  "open_direct",
  "leave",
  "rename",
  "add_members",
  "remove_member",
]);

let hurry = () => {};

const crashed = (error: Error) => postMessage({ type: "crashed", text: error.message } satisfies FromWorker);

addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === "hurry") hurry();
  else void wait(new URL(data.relay), data.deviceName);
});

async function wait(relay: URL, deviceName: string): Promise<void> {
  const name = nameOf(relay);
  const channel = new BroadcastChannel(name);
  const say = (said: FromEngine) => channel.postMessage(said);
  try {
    await init({ module_or_path: wasm });
    await navigator.locks.request(name, () => run(relay, deviceName, channel, say));
  } catch (error) {
    say({ to: "tabs", type: "broken", text: error instanceof Error ? error.message : String(error) });
  }
}

/** Runs the engine as long as this worker lives. */
async function run(
  relay: URL,
  deviceName: string,
  channel: BroadcastChannel,
  say: (said: FromEngine) => void,
): Promise<never> {
  let running = await start(relay, deviceName, say);
  const answered = new Set<string>();
  const under_way = new Set<string>();
  let told = false;
  const look = async () => {
    const { place } = running;
    if (told || (await place.isKept().catch(() => true)) || running.place !== place || told) return;
    told = true;
    say({ to: "tabs", type: "event", event: { type: "store_failed", text: "", full: false, gone: true } });
  };
  setInterval(() => void look(), LOOK_EVERY_MS);
  channel.onmessage = async ({ data }: MessageEvent<Said>) => {
    if (data.to !== "engine" || under_way.has(data.id) || answered.has(data.id)) return;
    under_way.add(data.id);
    try {
      const id = CHANGES.has(data.method) ? Uint8Array.fromHex(data.id) : undefined;
      // The first screen may be there a moment before everything is deleted, and the page closed.
      if (data.method === "sign_out") await intendToWipe(true);
      const result: unknown = JSON.parse((await running.engine.call(data.method, JSON.stringify(data.args), id)) as string);
      if (data.method === "sign_out") {
        running.stop();
        told = true;
        await wipe();
        running = await start(relay, deviceName, say);
        told = false;
      }
      say({ to: "tabs", type: "answer", id: data.id, result });
    } catch (error) {
      // A module that has trapped is in no state to go on from. The next one starts from what is stored.
      if (error instanceof WebAssembly.RuntimeError) return crashed(error);
      if (data.method === "sign_out") await intendToWipe(false);
      say({ to: "tabs", type: "failed", id: data.id, failure: failureOf(error) });
    }
    under_way.delete(data.id);
    answered.add(data.id);
    if (answered.size > ANSWERED_MAX) answered.delete(answered.values().next().value as string);
  };
  hurry = () => {
    running.engine.hurry();
    void look();
  };
  say({ to: "tabs", type: "here" });
  // The lock goes with the worker.
  return new Promise<never>(() => {});
}

async function start(relay: URL, deviceName: string, say: (said: FromEngine) => void) {
  const place = await open();
  const host = new Host(relay, deviceName, (event) =>
    say({ to: "tabs", type: "event", event: event as EngineEvent }),
  );
  const engine = new WebEngine(host, place.pages, place.secrets, place.key);
  host.wake = () => engine.wake();
  return {
    engine,
    place,
    stop: () => {
      host.stop();
      engine.close();
      place.close();
    },
  };
}

function failureOf(error: unknown): Failure {
  if (typeof error === "string") {
    try {
      return JSON.parse(error) as Failure;
    } catch {
      return { code: "internal", text: error };
    }
  }
  return { code: "internal", text: error instanceof Error ? error.message : String(error) };
}
