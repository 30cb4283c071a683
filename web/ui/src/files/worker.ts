/**
 * The worker for files: reads, seals and puts; fetches, opens and writes. All that knows the format is in the module that it
 * loads (`web/files`); here is what a browser has: slices of files, requests, places on a disk.
 */

import { answer, hold } from "./giving.ts";
import type { FileFailure, FromWorker, Got, Target, ToWorker } from "./messages.ts";
import { AT_ONCE, Swarm } from "./swarm.ts";
import init, { Head, WebReading, type WebIncoming, type WebOutgoing, WebWanted } from "./wasm/sotto_web_files.js";
import wasm from "./wasm/sotto_web_files_bg.wasm?url";
import { hurry, Job, pathOf, Refused, Wire } from "./wire.ts";

/** Files of so many chunks come from the relay: that is over before a link stands. */
const SMALL_CHUNKS = 4;

interface Upload {
  what: "send";
  conversation: string;
  file: File;
  /** Read once already: trying again goes on with the same key, so with what the relay has. */
  read?: WebOutgoing;
}

interface Download {
  what: "get";
  conversation: string;
  about: string;
  bytes: number;
  target: Target;
  seeks: boolean;
}

interface Entry {
  job: Job;
  work: Upload | Download;
}

const say = (said: FromWorker, transfer: Transferable[] = []): void => postMessage(said, { transfer });
const jobs = new Map<number, Entry>();
const swarms = new Map<number, Swarm>();
let ready: Promise<unknown>;
let wire: Wire;

addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  switch (data.type) {
    case "start":
      ready = init({ module_or_path: wasm });
      wire = new Wire(data.relay, () => say({ type: "access" }));
      break;
    case "access":
      wire.give(data.access);
      break;
    case "no_access":
      wire.deny(data.failure);
      break;
    case "hurry":
      hurry();
      break;
    case "send":
      void run(data.id, { what: "send", conversation: data.conversation, file: data.file });
      break;
    case "get": {
      const { conversation, about, bytes, target, seeks } = data;
      void run(data.id, { what: "get", conversation, about, bytes, target, seeks });
      break;
    }
    case "link_coming":
      swarms.get(data.id)?.coming();
      break;
    case "link_up": {
      const swarm = swarms.get(data.id);
      if (swarm) swarm.up(data.link, data.account);
      else say({ type: "drop", link: data.link, again: false });
      break;
    }
    case "link_down":
      for (const swarm of swarms.values()) swarm.down(data.link);
      break;
    case "came":
      for (const swarm of swarms.values()) void swarm.came(data.link, new Uint8Array(data.bytes));
      break;
    case "asked":
      void answered(data.link, data.conversation, new Uint8Array(data.bytes));
      break;
    case "again": {
      const before = jobs.get(data.id);
      if (before) void run(data.id, before.work);
      break;
    }
    case "pause":
      jobs.get(data.id)?.job.pause();
      break;
    case "resume":
      jobs.get(data.id)?.job.resume();
      break;
    case "cancel": {
      const ended = jobs.get(data.id);
      ended?.job.cancel();
      forget(data.id);
      break;
    }
  }
});

async function run(id: number, work: Upload | Download): Promise<void> {
  const job = new Job(id, (on) => say({ type: "waiting", id, on }));
  jobs.set(id, { job, work });
  try {
    await ready;
    if (work.what === "send") say({ type: "uploaded", id, about: await upload(job, work) });
    else say({ type: "got", id, got: await download(job, work) });
    forget(id);
  } catch (error) {
    if (job.signal.aborted) return;
    job.waiting(false);
    say({ type: "failed", id, failure: failureOf(error) });
    // An upload may be tried again from where it is; a download begins anew.
    if (work.what === "get") forget(id);
  }
}

async function answered(link: string, conversation: string, question: Uint8Array): Promise<void> {
  await ready;
  const messages = await answer(conversation, question);
  if (messages) talk(link, messages);
  else say({ type: "drop", link, again: false });
}

/** The glue gives fresh memory of its own, which goes to the page as it is. */
function talk(link: string, messages: Uint8Array): void {
  const { buffer } = bytesOf(messages);
  say({ type: "say", link, bytes: buffer }, [buffer]);
}

function forget(id: number): void {
  const ended = jobs.get(id);
  if (ended?.work.what === "send") ended.work.read?.free();
  jobs.delete(id);
}

function failureOf(error: unknown): FileFailure {
  if (error instanceof Refused) {
    const { code, text, room } = error;
    return { code, text, ...(room !== undefined && { room }) };
  }
  return { code: "internal", text: error instanceof Error ? error.message : String(error) };
}

async function upload(job: Job, work: Upload): Promise<string> {
  const { file, conversation } = work;
  work.read ??= await read(job, file);
  const outgoing = work.read;
  const path = pathOf(conversation, outgoing.root);
  const size = sizeOf(file);
  const standing = await wire
    .json<{ complete: boolean; present: string }>(job, "PUT", `${path}?size=${size}`, bytesOf(outgoing.list))
    .catch((error: unknown) => {
      // Others of the account may have filled it meanwhile.
      throw error instanceof Refused && error.code === "limit_reached" ? new Refused("file_quota", error.text) : error;
    });
  if (!standing.complete) {
    const missing = outgoing.missing(Uint8Array.fromBase64(standing.present));
    if (!missing) throw new Refused("malformed_answer", "which chunks are there does not read");
    let done = file.size - missing.reduce((sum: number, chunk: number) => sum + placeOf(outgoing, chunk).bytes, 0);
    say({ type: "step", id: job.id, stage: "moving", done });
    await together([...missing], async (chunk) => {
      await job.turn();
      const { start, bytes } = placeOf(outgoing, chunk);
      const part = await slice(file, start, bytes);
      const sealed = changedIfItThrows(() => outgoing.seal(chunk, part));
      await wire.request(job, "PUT", `${path}/chunks/${chunk}`, 0, bytesOf(sealed));
      done += bytes;
      say({ type: "step", id: job.id, stage: "moving", done });
    });
    await wire.json(job, "POST", `${path}/complete`);
  }
  const about = outgoing.about.toHex();
  delete work.read;
  keep(conversation, outgoing, 0, () => file);
  return about;
}

/** What is large enough to be asked for is kept for those who ask. */
function keep(conversation: string, outgoing: WebOutgoing, memory: number, open: () => Blob | Promise<Blob>): void {
  if (!isLarge(outgoing)) return outgoing.free();
  const { root } = outgoing;
  hold(conversation, outgoing, memory, open);
  say({ type: "held", conversation, root });
}

function isLarge(file: WebOutgoing | WebIncoming): boolean {
  const beyond = file.part(SMALL_CHUNKS);
  beyond?.free();
  return beyond !== undefined;
}

/** Asks first, so that no large file is read for nothing; then reads it once. */
async function read(job: Job, file: File): Promise<WebOutgoing> {
  const limits = await wire
    .json<{ largest_bytes: number; used_bytes: number; limit_bytes: number | null }>(job, "GET", "blobs")
    .catch((error: unknown) => {
      throw error instanceof Refused && error.code === "forbidden" ? new Refused("file_none_here", error.text) : error;
    });
  const size = sizeOf(file);
  if (size > limits.largest_bytes) throw new Refused("file_too_large", "", 0, limits.largest_bytes);
  const left = limits.limit_bytes === null ? Number.POSITIVE_INFINITY : Math.max(0, limits.limit_bytes - limits.used_bytes);
  if (size > left) throw new Refused("file_quota", "", 0, left);
  const reading = new WebReading(file.size);
  try {
    for (let chunk = 0; ; chunk += 1) {
      const place = reading.part(chunk);
      if (!place) break;
      const { start, bytes } = place;
      place.free();
      await job.turn();
      const part = await slice(file, start, bytes);
      changedIfItThrows(() => reading.take(part));
      say({ type: "step", id: job.id, stage: "checking", done: start + bytes });
    }
  } catch (error) {
    reading.free();
    throw error;
  }
  // This takes `reading`.
  return changedIfItThrows(() => reading.done(file.name));
}

/** Bytes of the blob of a file. */
function sizeOf(file: File): number {
  let reading: WebReading;
  try {
    reading = new WebReading(file.size);
  } catch {
    throw new Refused("file_too_large", "");
  }
  const { size } = reading;
  reading.free();
  return size;
}

/** The browser notices itself when a file is not the one that was chosen. */
async function slice(file: File, start: number, bytes: number): Promise<Uint8Array> {
  try {
    return new Uint8Array(await file.slice(start, start + bytes).arrayBuffer());
  } catch (error) {
    throw new Refused("file_changed", String(error));
  }
}

function changedIfItThrows<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    // A module that has trapped is in no state to go on from.
    if (error instanceof WebAssembly.RuntimeError) throw error;
    throw new Refused("file_changed", String(error));
  }
}

async function download(job: Job, work: Download): Promise<Got> {
  const { conversation, target } = work;
  const wanted = new WebWanted(Uint8Array.fromHex(work.about));
  const { root } = wanted;
  const path = pathOf(conversation, root);
  const list = await wire.request(job, "GET", `${path}/list`, wanted.listBytes);
  const incoming = damagedIfItThrows(() => wanted.list(list));
  let place: Memory | Disk | undefined;
  try {
    place = target === "memory" ? new Memory() : await Disk.open(target);
    const head = await fill(job, work, incoming, path, root, place);
    job.signal.throwIfAborted();
    const blob = await place.done(head.picture);
    // This takes `incoming`.
    keep(conversation, incoming.done(), blob ? work.bytes : 0, () => blob ?? (target as FileSystemFileHandle).getFile());
    return blob ? { ...head, blob } : head;
  } catch (error) {
    await place?.drop();
    incoming.free();
    throw error;
  }
}

/** Brings all chunks, from the relay and from members who have them. */
async function fill(job: Job, work: Download, incoming: WebIncoming, path: string, root: string, place: Memory | Disk): Promise<Got> {
  const { id } = job;
  const { conversation } = work;
  const seeks = work.seeks && isLarge(incoming);
  let head: Got = { kind: Head.kind(new Uint8Array()) };
  let done = 0;
  let count = 0;
  while (incoming.chunkBytes(count) !== undefined) count += 1;
  const swarm = new Swarm(job, incoming, count, seeks, {
    relay: async (relayJob, chunk) => bytesOf(await opened(relayJob, incoming, path, chunk)),
    take: async (chunk, part) => {
      if (chunk === 0) head = known(part.subarray(0, Head.bytes()));
      const { length } = part;
      await place.write(chunk, placeOf(incoming, chunk).start, part);
      done += length;
      say({ type: "step", id, stage: "moving", done });
    },
    say: talk,
    drop: (link, again) => say({ type: "drop", link, again }),
    tell: (origins, dropped) => say({ type: "origins", id, origins, dropped }),
  });
  swarms.set(id, swarm);
  if (seeks) say({ type: "seek", id, conversation, root });
  try {
    await swarm.run();
  } finally {
    swarms.delete(id);
    if (seeks) say({ type: "found", id });
  }
  return head;
}

function known(head: Uint8Array): Got {
  const shown = Head.picture(head);
  return { kind: Head.kind(head), ...(shown !== undefined && { picture: shown }) };
}

/** A chunk as it was sent. One that is not may have been spoilt in the browser's cache: it is fetched once more, past that. */
async function opened(job: Job, incoming: WebIncoming, path: string, chunk: number): Promise<Uint8Array> {
  const fetched = (anew: boolean) =>
    wire.request(job, "GET", `${path}/chunks/${chunk}`, incoming.chunkBytes(chunk) ?? 0, undefined, anew);
  try {
    return incoming.open(chunk, await fetched(false));
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError || (error instanceof Refused && error.code !== "file_damaged")) throw error;
    job.signal.throwIfAborted();
  }
  const again = await fetched(true);
  return damagedIfItThrows(() => incoming.open(chunk, again));
}

function damagedIfItThrows<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) throw error;
    throw new Refused("file_damaged", String(error));
  }
}

/** What came lies in the browser's memory, which it moves to its disk when there is much of it. */
class Memory {
  private readonly parts: Blob[] = [];

  write(chunk: number, _start: number, part: Uint8Array<ArrayBuffer>): Promise<void> {
    this.parts[chunk] = new Blob([part]);
    return Promise.resolve();
  }

  /** Nothing else than a picture gets a type by which a browser would show it. */
  done(type: string | undefined): Promise<Blob> {
    return Promise.resolve(new Blob(this.parts, { type: type ?? "application/octet-stream" }));
  }

  drop(): Promise<void> {
    this.parts.length = 0;
    return Promise.resolve();
  }
}

/** A place that the person chose. The browser writes beside it, and puts it there when all is through. */
class Disk {
  private constructor(
    private readonly handle: FileSystemFileHandle,
    private readonly writable: FileSystemWritableFileStream,
    /** There was nothing before. */
    private readonly made: boolean,
  ) {}

  static async open(handle: FileSystemFileHandle): Promise<Disk> {
    return onDisk(async () => {
      const made = (await handle.getFile()).size === 0;
      return new Disk(handle, await handle.createWritable(), made);
    });
  }

  write(_chunk: number, start: number, part: Uint8Array<ArrayBuffer>): Promise<void> {
    return onDisk(() => this.writable.write({ type: "write", position: start, data: part }));
  }

  async done(): Promise<undefined> {
    await onDisk(() => this.writable.close());
    return undefined;
  }

  async drop(): Promise<void> {
    await this.writable.abort().catch(() => undefined);
    // The browser makes an empty file when a place is chosen.
    if (this.made) await (this.handle as { remove?: () => Promise<void> }).remove?.().catch(() => undefined);
  }
}

async function onDisk<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new Refused("file_disk", error instanceof Error ? error.message : String(error));
  }
}

function placeOf(of: WebOutgoing | WebIncoming, chunk: number): { start: number; bytes: number } {
  const place = of.part(chunk);
  if (!place) throw new Error(`there is no part ${chunk}`);
  const { start, bytes } = place;
  place.free();
  return { start, bytes };
}

/** The glue gives fresh memory of its own, which its types do not say. */
const bytesOf = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => bytes as Uint8Array<ArrayBuffer>;

/** Several at once. The first that fails lets no other begin, and all have ended when this does. */
async function together(items: number[], work: (item: number) => Promise<void>): Promise<void> {
  let failed = false;
  const lane = async (): Promise<void> => {
    for (let item = items.shift(); item !== undefined && !failed; item = items.shift()) {
      try {
        await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: AT_ONCE }, lane));
  for (const one of ended) if (one.status === "rejected") throw one.reason;
}
