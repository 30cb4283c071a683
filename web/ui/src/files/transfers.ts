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
import type { FileFailure, FromWorker, Got, Left, Note, Origin, Stage, Target, ToWorker } from "./messages.ts";
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
  /** `ready`: all of it is here, and the person is asked where to. */
  stage: "queued" | Stage | "ready" | "saying" | "done";
  done: number;
  /** Bytes a second. */
  rate?: number;
  waiting: boolean;
  paused: boolean;
  /** Closing the page does not end it. */
  kept?: boolean;
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
  /** Where it is kept so that it goes on after the page was closed. */
  shelf?: { shelf: Id; note: Note; left: boolean };
  start: () => void;
  /** The file of one that goes out was chosen again. */
  chosen?: (file: File) => void;
  got?: (got: Got) => void;
  uploaded?: (about: string, root: string) => void;
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
  const busy = transfers.some((one) => one.what !== "show" && !one.failure && !one.kept && one.stage !== "done");
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
  if (said.type === "left") return said.left.forEach(goOnWith);
  if (said.type === "held" || said.type === "seek" || said.type === "route" || said.type === "found" || said.type === "say" || said.type === "drop")
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
    case "kept":
      change(said.id, { kept: said.on });
      break;
    case "ready":
      change(said.id, { stage: "ready", waiting: false });
      break;
    case "elsewhere":
      drop(said.id);
      break;
    case "uploaded":
      way.uploaded?.(said.about, said.root);
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

type Begun = Omit<Transfer, "id" | "stage" | "done" | "waiting" | "paused"> & { paused?: boolean };

function add(transfer: Begun, way: (id: number) => Omit<Way, "samples">): number {
  const id = (last += 1);
  const over = transfers.filter((one) => one.stage === "done").slice(DONE_MAX);
  for (const one of over) remove(one.id);
  const made = { ...way(id), samples: [] };
  ways.set(id, made);
  setTransfers(transfers.length, { paused: false, ...transfer, id, stage: "queued", done: 0, waiting: false });
  note(id);
  next();
  return id;
}

/** Said again to a worker that may be another one than then. */
function note(id: number): void {
  const shelf = ways.get(id)?.shelf;
  if (shelf) tell({ type: "note", id, ...shelf });
}

/** A place for what is kept of a file on its way, of its own name. */
function shelfOf(note: Omit<Note, "at">, left: Left | undefined): { shelf: Id; note: Note; left: boolean } {
  if (left) return { ...left, left: true };
  return { shelf: crypto.getRandomValues(new Uint8Array(16)).toHex(), note: { ...note, at: Date.now() }, left: false };
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
    note(one.id);
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
  drop(id);
}

/** With all that was kept of it. */
function drop(id: number): void {
  if (worker) tell({ type: "cancel", id });
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

/** An upload goes on with the file, which the person chose again. */
export function chooseAgain(id: number, file: File): void {
  change(id, { failure: undefined, stage: "queued" });
  ways.get(id)?.chosen?.(file);
  next();
}

/** Sends a file; the message goes when the relay has all of it. */
export function send(conversation: Id, file: File, caption: string, replyTo: number | undefined): void {
  const { name, size: bytes, type: kind } = file;
  outgoing({ what: "send", conversation, name, bytes, kind, caption, ...(replyTo !== undefined && { replyTo }) }, file);
}

function outgoing(of: Omit<Note, "at">, file: File | undefined, left?: Left): void {
  const { conversation, name, bytes, kind = "", caption = "", replyTo } = of;
  const shelf = shelfOf(of, left);
  const closed: FileFailure | undefined = file || left?.copied ? undefined : { code: "file_closed", text: "" };
  add({ what: "send", conversation, name, bytes, kind, caption, failure: closed }, (id) => {
    let put: { about: string; root: string } | undefined;
    let small: Promise<SmallPicture | undefined> | undefined = left?.preview && Promise.resolve(left.preview);
    const say = async (about: string, root: string): Promise<void> => {
      if (left && (await wasSaid(conversation, root, left.note.at))) return;
      const preview = await small;
      const reply = replyTo === undefined ? {} : { reply_to: replyTo };
      await call("send_file", { conversation, file: about, caption, ...reply, ...(preview && { preview }) });
    };
    const start = (): void => {
      small ??= file && drawn(id, file);
      if (!put) return tell({ type: "send", id, conversation, file });
      change(id, { stage: "saying" });
      say(put.about, put.root).then(
        () => drop(id),
        (error: unknown) => fail(id, failureOf(error)),
      );
    };
    const uploaded = (about: string, root: string): void => {
      put = { about, root };
      start();
    };
    const chosen = (again: File): void => {
      file = again;
    };
    return { shelf, start, chosen, uploaded };
  });
}

/** The small picture of a file, which is kept, as it cannot be drawn from a sealed copy. */
async function drawn(id: number, file: File): Promise<SmallPicture | undefined> {
  const preview = await smallOf(file);
  if (preview) tell({ type: "preview", id, preview });
  return preview;
}

/** So many lines are looked through at a time. */
const LINES = 100;
/** This device's clock and the relay's may differ by so much. */
const CLOCKS_MS = 24 * 60 * 60 * 1000;

/** Whether the message of a file went out just before the page was closed. */
async function wasSaid(conversation: Id, root: string, since: number): Promise<boolean> {
  const now = Date.now();
  // What still waits for the relay does not tell its file.
  while ((await call("outbox", { conversation })).some(({ since_ms }) => since_ms < now))
    await new Promise<void>((resolve) => {
      const stop = bus.on(() => {
        stop();
        resolve();
      });
    });
  for (let before: number | undefined; ; ) {
    const lines = await call("history", { conversation, limit: LINES, ...(before !== undefined && { before }) });
    if (lines.some(({ own, file }) => own && file?.root === root)) return true;
    const [first] = lines;
    if (!first || first.time_ms < since - CLOCKS_MS) return false;
    before = first.sequence;
  }
}

/** Goes on with what was under way when a page was closed. */
export function goOn(): void {
  tell({ type: "look" });
}

function goOnWith(left: Left): void {
  const { shelf, note } = left;
  if ([...ways.values()].some((way) => way.shelf?.shelf === shelf)) return;
  if (note.what === "send") return outgoing(note, undefined, left);
  const { conversation, sequence = 0, name, bytes } = note;
  const target = hasPlaces() ? "later" : "memory";
  incoming("save", { conversation, sequence, name, bytes }, target, (id, got) => saved(id, got, name), left);
}

/** A file of a message. */
interface Of {
  conversation: Id;
  sequence: number;
  name: string;
  bytes: number;
}

function incoming(what: "save" | "show", of: Of, target: Target, got: (id: number, got: Got) => void, left?: Left): void {
  const { conversation, sequence, bytes } = of;
  for (const old of transfers.filter((one) => one.what === what && one.conversation === conversation && one.sequence === sequence)) cancel(old.id);
  const way = (id: number): Omit<Way, "samples"> => ({
    ...(what === "save" && { shelf: shelfOf({ what, ...of }, left) }),
    start: () => {
      call("file", { conversation, sequence }).then(
        ({ file: about }) => {
          // What was deleted meanwhile is wanted by nobody.
          if (about === null) return left ? drop(id) : fail(id, { code: "not_found", text: "" });
          tell({ type: "get", id, conversation, about, bytes, target, seeks: links.mayCome(conversation, left !== undefined) });
          if (left?.paused) tell({ type: "pause", id });
        },
        (error: unknown) => fail(id, failureOf(error)),
      );
    },
    got: (what) => got(id, what),
  });
  add({ what, ...of, paused: left?.paused ?? false }, way);
}

interface Picker {
  showSaveFilePicker?: (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;
}

const hasPlaces = (): boolean => (window as Picker).showSaveFilePicker !== undefined;

/** Saves a file of a message: where the browser can, piece by piece to a place that the person chooses. */
export async function save(message: Message): Promise<void> {
  const { conversation, sequence, file } = message;
  if (!file) return;
  const { name, bytes } = file;
  const of = { conversation, sequence, name, bytes };
  const picker = (window as Picker).showSaveFilePicker;
  if (picker) {
    let target: FileSystemFileHandle;
    try {
      target = await picker.call(window, { suggestedName: name });
    } catch (error) {
      // The person thought better of it.
      if (error instanceof DOMException && error.name === "AbortError") return;
      throw error;
    }
    const ready = transfers.find((one) => one.what === "save" && one.stage === "ready" && one.conversation === conversation && one.sequence === sequence);
    if (!ready) return incoming("save", of, target, (id, got) => saved(id, got, name));
    change(ready.id, { stage: "moving" });
    return tell({ type: "place", id: ready.id, target });
  }
  if (bytes > MEMORY_BYTES_MAX)
    throw { code: "file_no_room", text: "", room: MEMORY_BYTES_MAX } satisfies FileFailure;
  incoming("save", of, "memory", (id, got) => saved(id, got, name));
}

function saved(id: number, got: Got, name: string): void {
  change(id, { stage: "done", kind: got.kind, waiting: false });
  if (got.blob) hand(got.blob, name);
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
  const { conversation, sequence, file } = message;
  if (!file || pictures().has(file.root)) return;
  const { root, name, bytes } = file;
  const under = transfers.some((one) => one.what === "show" && one.sequence === sequence && one.conversation === conversation && !one.failure);
  if (under) return;
  incoming("show", { conversation, sequence, name, bytes }, "memory", (id, got) => {
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
