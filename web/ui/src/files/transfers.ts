/**
 * Files on their way, out and in, of this tab. The work is a worker's; here is what the interface shows of it. Uploads go one after
 * the other, so that messages come in the order in which files were chosen; a transfer that lost the relay waits and goes on.
 */
import { createSignal } from "solid-js";
import { createStore, produce } from "solid-js/store";
import { relayOf } from "../engine/client.ts";
import type { Failure, Id, Message, SmallPicture } from "../engine/api.ts";
import { app, bus, call, failureOf } from "../state/app.ts";
import { scriptUrl } from "../trusted.ts";
import * as links from "./links.ts";
import { smallOf } from "./preview.ts";
import type { FileFailure, FromWorker, Got, Origin, Stage, Target, ToWorker } from "./messages.ts";
import workerUrl from "./worker?worker&url";

/** Pictures that are fetched at once by themselves. */
const SHOWN_AT_ONCE = 2;
/** Pictures that are kept for showing, by their bytes and their number; the oldest go. */
const PICTURES_BYTES_MAX = 96 * 1024 * 1024;
const PICTURES_MAX = 200;
/** What a browser saves that cannot write to the disk piece by piece: it holds all of it first. */
export const MEMORY_BYTES_MAX = 512 * 1024 * 1024;
/** Saved files of which it is still told that they were; more are forgotten. */
const DONE_MAX = 100;
/** How far back the speed is measured. */
const RATE_OVER_MS = 8_000;

export interface Transfer {
  id: number;
  what: "send" | "save" | "show";
  conversation: Id;
  /** Of what comes in. */
  sequence?: number;
  name: string;
  bytes: number;
  stage: "queued" | Stage | "saying" | "done";
  done: number;
  /** Bytes a second. */
  rate?: number;
  waiting: boolean;
  paused: boolean;
  failure?: FileFailure | undefined;
  /** Of what goes out. */
  caption?: string;
  /** Of what comes in: who gave how much, and who sent what is not the file's. */
  origins?: Origin[];
  dropped?: Id[];
  /** What the browser takes it for that sends it; with `done`, what it is by its content. */
  kind?: string;
}

/** A picture that was got, to be shown by its address. */
export interface Picture {
  url: string;
  width: number;
  height: number;
}

const [transfers, setTransfers] = createStore<Transfer[]>([]);
export { transfers };

/** By root; `null` for what turned out to be no picture. */
const [pictures, setPictures] = createSignal<ReadonlyMap<string, (Picture & { bytes: number }) | null>>(new Map());

interface Way {
  start: () => void;
  got?: (got: Got) => void;
  uploaded?: (about: string) => void;
  samples: [at: number, done: number][];
}

const ways = new Map<number, Way>();
let last = 0;
let worker: Worker | undefined;

function tell(said: ToWorker, transfer: Transferable[] = []): void {
  if (!worker) {
    worker = new Worker(scriptUrl(workerUrl), { type: "module", name: "sotto-files" });
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => hear(data);
    worker.onerror = (event) => broken(event.message);
    tell({ type: "start", relay: relayOf().href });
  }
  worker.postMessage(said, transfer);
}

// Without a worker there is nothing that a link would be for.
links.begin((said, transfer) => worker && tell(said, transfer));

/** The worker cannot go on; the next transfer starts another one. */
function broken(text: string): void {
  worker?.terminate();
  worker = undefined;
  links.forget();
  for (const { id, stage } of [...transfers]) {
    if (stage !== "checking" && stage !== "moving") continue;
    change(id, { stage: "queued" });
    fail(id, { code: "internal", text });
  }
}

addEventListener("online", () => worker && tell({ type: "hurry" }));
addEventListener("beforeunload", (event) => {
  const busy = transfers.some((one) => one.what !== "show" && !one.failure && one.stage !== "done");
  if (busy) event.preventDefault();
});
bus.on((event) => {
  if (event.type !== "state") return;
  if (event.state.phase === "empty") forgetAll();
  else if (event.state.status.status === "synchronised" && worker) tell({ type: "hurry" });
});

/** Whoever signed out leaves nothing. */
function forgetAll(): void {
  worker?.terminate();
  worker = undefined;
  links.forget();
  ways.clear();
  setTransfers([]);
  for (const one of pictures().values()) if (one) URL.revokeObjectURL(one.url);
  setPictures(new Map());
}

function hear(said: FromWorker): void {
  if (said.type === "access") {
    void call("access").then(
      ({ access }) => tell({ type: "access", access }),
      (error: unknown) => tell({ type: "no_access", failure: failureOf(error) }),
    );
    return;
  }
  if (said.type === "held" || said.type === "seek" || said.type === "found" || said.type === "say" || said.type === "drop")
    return links.said(said);
  const way = ways.get(said.id);
  if (!way) return;
  switch (said.type) {
    case "step":
      change(said.id, { stage: said.stage, done: said.done, ...rateOf(way, said.stage, said.done) });
      break;
    case "waiting":
      way.samples.length = 0;
      change(said.id, { waiting: said.on });
      break;
    case "origins":
      change(said.id, { origins: said.origins, dropped: said.dropped });
      break;
    case "uploaded":
      way.uploaded?.(said.about);
      break;
    case "got":
      way.got?.(said.got);
      break;
    case "failed":
      fail(said.id, said.failure);
      break;
  }
}

function rateOf(way: Way, stage: Stage, done: number): { rate?: number } {
  if (stage !== "moving") return {};
  const now = performance.now();
  way.samples.push([now, done]);
  while (way.samples.length > 2 && (way.samples[0]?.[0] ?? now) < now - RATE_OVER_MS) way.samples.shift();
  const [at, from] = way.samples[0] ?? [now, done];
  return now - at < 300 ? {} : { rate: ((done - from) * 1000) / (now - at) };
}

function change(id: number, to: Partial<Transfer>): void {
  setTransfers((one) => one.id === id, to);
}

function fail(id: number, failure: Failure): void {
  change(id, { failure, waiting: false, paused: false });
  next();
}

function add(transfer: Omit<Transfer, "id" | "stage" | "done" | "waiting" | "paused">, way: (id: number) => Omit<Way, "samples">): number {
  const id = (last += 1);
  const over = transfers.filter((one) => one.stage === "done").slice(DONE_MAX);
  for (const one of over) remove(one.id);
  ways.set(id, { ...way(id), samples: [] });
  setTransfers(transfers.length, { ...transfer, id, stage: "queued", done: 0, waiting: false, paused: false });
  next();
  return id;
}

/** Starts what has its turn. */
function next(): void {
  const active = (what: Transfer["what"]): number =>
    transfers.filter((one) => one.what === what && !one.failure && one.stage !== "queued" && one.stage !== "done").length;
  for (const one of transfers) {
    if (one.stage !== "queued" || one.failure) continue;
    const most = one.what === "send" ? 1 : one.what === "show" ? SHOWN_AT_ONCE : Number.POSITIVE_INFINITY;
    if (active(one.what) >= most) continue;
    change(one.id, { stage: one.what === "send" ? "checking" : "moving" });
    ways.get(one.id)?.start();
  }
}

function remove(id: number): void {
  ways.delete(id);
  setTransfers(produce((all) => void all.splice(all.findIndex((one) => one.id === id) >>> 0, 1)));
  next();
}

/** Ends one, or takes away what is left of it. */
export function cancel(id: number): void {
  const one = transfers.find((each) => each.id === id);
  if (!one) return;
  if (one.stage !== "queued" && worker) tell({ type: "cancel", id });
  remove(id);
}

export function pause(id: number, on: boolean): void {
  const way = ways.get(id);
  if (way) way.samples.length = 0;
  change(id, { paused: on });
  tell({ type: on ? "pause" : "resume", id });
}

/** An upload that failed goes on from where it is. */
export function again(id: number): void {
  const one = transfers.find((each) => each.id === id);
  if (!one) return;
  change(id, { failure: undefined });
  // Without a worker that remembers it, from the beginning; with only the message left to send, that.
  if (one.stage === "queued") next();
  else if (one.stage === "saying") ways.get(id)?.start();
  else tell({ type: "again", id });
}

/** Sends a file; the message goes when the relay has all of it. */
export function send(conversation: Id, file: File, caption: string, replyTo: number | undefined): void {
  add({ what: "send", conversation, name: file.name, bytes: file.size, kind: file.type, caption }, (id) => {
    let about: string | undefined;
    let small: ReturnType<typeof smallOf> | undefined;
    const start = (): void => {
      small ??= smallOf(file);
      if (about === undefined) return tell({ type: "send", id, conversation, file });
      change(id, { stage: "saying" });
      const put = about;
      const reply = replyTo === undefined ? {} : { reply_to: replyTo };
      const say = (preview: SmallPicture | undefined) => call("send_file", { conversation, file: put, caption, ...reply, ...(preview && { preview }) });
      small.then(say).then(
        () => remove(id),
        (error: unknown) => fail(id, failureOf(error)),
      );
    };
    const uploaded = (put: string): void => {
      about = put;
      start();
    };
    return { start, uploaded };
  });
}

function incoming(what: "save" | "show", message: Message, target: Target, got: (id: number, got: Got) => void): void {
  const { conversation, sequence, file } = message;
  if (!file) return;
  for (const old of transfers.filter((one) => one.what === what && one.conversation === conversation && one.sequence === sequence)) cancel(old.id);
  add({ what, conversation, sequence, name: file.name, bytes: file.bytes }, (id) => ({
    start: () => {
      call("file", { conversation, sequence }).then(
        ({ file: about }) => {
          if (about === null) fail(id, { code: "not_found", text: "" });
          else tell({ type: "get", id, conversation, about, bytes: file.bytes, target, seeks: links.mayCome(conversation) });
        },
        (error: unknown) => fail(id, failureOf(error)),
      );
    },
    got: (what) => got(id, what),
  }));
}

interface Picker {
  showSaveFilePicker?: (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;
}

/** Saves a file of a message: where the browser can, piece by piece to a place that the person chooses. */
export async function save(message: Message): Promise<void> {
  const { file } = message;
  if (!file) return;
  const picker = (window as Picker).showSaveFilePicker;
  if (picker) {
    let target: FileSystemFileHandle;
    try {
      target = await picker.call(window, { suggestedName: file.name });
    } catch (error) {
      // The person thought better of it.
      if (error instanceof DOMException && error.name === "AbortError") return;
      throw error;
    }
    incoming("save", message, target, (id, got) => done(id, got));
    return;
  }
  if (file.bytes > MEMORY_BYTES_MAX)
    throw { code: "file_no_room", text: "", room: MEMORY_BYTES_MAX } satisfies FileFailure;
  incoming("save", message, "memory", (id, got) => {
    done(id, got);
    if (got.blob) hand(got.blob, file.name);
  });
}

function done(id: number, got: Got): void {
  change(id, { stage: "done", kind: got.kind, waiting: false });
  next();
}

/** Hands a file to the browser's own downloads; as bytes, so that nothing opens it. */
function hand(blob: Blob, name: string): void {
  const url = URL.createObjectURL(new Blob([blob], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** The picture of a message, where it was got; `null` where it is none. */
export function pictureOf(message: Message): Picture | null | undefined {
  return message.file && pictures().get(message.file.root);
}

/** Gets a picture to be shown. */
export function show(message: Message): void {
  const root = message.file?.root;
  if (!root || pictures().has(root)) return;
  const under = transfers.some((one) => one.what === "show" && one.sequence === message.sequence && one.conversation === message.conversation && !one.failure);
  if (under) return;
  incoming("show", message, "memory", (id, got) => {
    void decode(got).then((picture) => {
      remove(id);
      keep(root, picture);
    });
  });
}

/** What does not become a picture in this browser is none. */
async function decode(got: Got): Promise<(Picture & { bytes: number }) | null> {
  if (!got.picture || !got.blob) return null;
  const url = URL.createObjectURL(got.blob);
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
    return { url, width: image.naturalWidth, height: image.naturalHeight, bytes: got.blob.size };
  } catch {
    URL.revokeObjectURL(url);
    return null;
  }
}

function keep(root: string, picture: (Picture & { bytes: number }) | null): void {
  const kept = new Map(pictures());
  kept.set(root, picture);
  let bytes = [...kept.values()].reduce((sum, one) => sum + (one?.bytes ?? 0), 0);
  for (const [old, one] of kept) {
    if (old === root || (bytes <= PICTURES_BYTES_MAX && kept.size <= PICTURES_MAX)) break;
    bytes -= one?.bytes ?? 0;
    if (one) URL.revokeObjectURL(one.url);
    kept.delete(old);
  }
  setPictures(kept);
}

/** Nothing can move now, whatever the worker has noticed yet. */
export function isAway(): boolean {
  return !["ready", "synchronised"].includes(app.state?.status.status ?? "");
}
