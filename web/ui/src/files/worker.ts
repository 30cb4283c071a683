/**
 * The worker for files: reads, seals and puts; fetches, opens and writes. All that knows the format is in the module that it
 * loads (`web/files`); here is what a browser has: slices of files, requests, places on a disk.
 */

import { answer, hold, makeRoom } from "./giving.ts";
import { Listing } from "./listing.ts";
import type { FileFailure, FromWorker, Got, Note, Target, ToWorker } from "./messages.ts";
import { openPlace, type Place } from "./place.ts";
import { leftOver, Shelf } from "./shelf.ts";
import { AT_ONCE, type Piece, Swarm } from "./swarm.ts";
import init, { Head, WebReading, type WebIncoming, type WebOutgoing, WebWanted } from "./wasm/sotto_web_files.js";
import wasm from "./wasm/sotto_web_files_bg.wasm?url";
import { hurry, Job, pathOf, Refused, Wire } from "./wire.ts";

/** Files of so many chunks come from the relay: that is over before a link stands. */
const SMALL_CHUNKS = 4;
/** Of what goes out a copy is kept up to this size: larger files are chosen again after the page was closed. */
const COPY_BYTES_MAX = 4 * 1024 * 1024 * 1024;

interface Upload {
  what: "send";
  conversation: string;
  /** Without one, it goes out from the copy. */
  file: File | undefined;
  /** Read once already: trying again goes on with the same key, so with what the relay has. */
  read?: WebOutgoing;
  /** It was read before the page was closed. */
  begun?: boolean;
  /** All of it is on the shelf. */
  copied?: boolean;
}

interface Download {
  what: "get";
  conversation: string;
  about: string;
  bytes: number;
  target: Target;
  seeks: boolean;
  /** The place that was chosen in the end. */
  chosen: PromiseWithResolvers<FileSystemFileHandle>;
}

interface Entry {
  job: Job;
  work: Upload | Download;
}

const say = (said: FromWorker, transfer: Transferable[] = []): void => postMessage(said, { transfer });
const jobs = new Map<number, Entry>();
const shelves = new Map<number, Promise<Shelf | undefined>>();
const swarms = new Map<number, Swarm | Listing>();
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
    case "note":
      if (!shelves.has(data.id)) shelves.set(data.id, shelve(data.id, data.shelf, data.note, data.left));
      break;
    case "preview":
      // Without it the file goes out all the same.
      void shelves.get(data.id)?.then((shelf) => shelf?.seal("preview", data.preview)).catch(() => undefined);
      break;
    case "look":
      void leftOver().then((left) => say({ type: "left", left }));
      break;
    case "send":
      forget(data.id);
      void run(data.id, { what: "send", conversation: data.conversation, file: data.file });
      break;
    case "get": {
      const { conversation, about, bytes, target, seeks } = data;
      void run(data.id, { what: "get", conversation, about, bytes, target, seeks, chosen: Promise.withResolvers() });
      break;
    }
    case "place": {
      const work = jobs.get(data.id)?.work;
      if (work?.what === "get") work.chosen.resolve(data.target);
      break;
    }
    case "link_coming":
      swarms.get(data.id)?.coming();
      break;
    case "link_up": {
      const swarm = swarms.get(data.id);
      if (swarm) swarm.up(data.link, data.account, data.routed);
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
      void shelves.get(data.id)?.then((shelf) => shelf?.pause(true));
      break;
    case "resume":
      jobs.get(data.id)?.job.resume();
      void shelves.get(data.id)?.then((shelf) => shelf?.pause(false));
      break;
    case "cancel":
      jobs.get(data.id)?.job.cancel();
      forget(data.id);
      void leave(data.id, false);
      break;
  }
});

async function run(id: number, work: Upload | Download): Promise<void> {
  const job = new Job(id, (on) => say({ type: "waiting", id, on }));
  jobs.set(id, { job, work });
  try {
    await ready;
    if (work.what === "send") say({ type: "uploaded", id, ...(await upload(job, work)) });
    else {
      say({ type: "got", id, got: await download(job, work) });
      await leave(id, false);
    }
    forget(id);
  } catch (error) {
    if (job.signal.aborted) return;
    job.waiting(false);
    const failure = failureOf(error);
    // An upload may be tried again from where it is; a download begins anew, with what was kept if that may still be of use.
    if (work.what === "get") {
      forget(id);
      await leave(id, failure.code !== "file_damaged" && failure.code !== "not_found");
    }
    say({ type: "failed", id, failure });
  }
}

/** Where a file is kept while it is on its way. What is saved a second time goes on with what was kept of the first. */
async function shelve(id: number, name: string, note: Note, left: boolean): Promise<Shelf | undefined> {
  if (left) {
    const shelf = await Shelf.open(name, undefined);
    // Another tab was faster.
    if (!shelf) say({ type: "elsewhere", id });
    return shelf;
  }
  if (note.what === "send") return Shelf.open(name, note);
  const begun = (await leftOver()).find(({ note: { what, conversation, sequence } }) => {
    return what === "save" && conversation === note.conversation && sequence === note.sequence;
  });
  if (begun) return Shelf.open(begun.shelf, undefined);
  return (await makeRoom(note.bytes)) ? Shelf.open(name, note) : undefined;
}

/** What was kept of it goes, or stays for another time. */
async function leave(id: number, keeps: boolean): Promise<void> {
  const of = shelves.get(id);
  shelves.delete(id);
  const shelf = await of;
  if (keeps) shelf?.letGo();
  else await shelf?.done();
}

async function answered(link: string, conversation: string, question: Uint8Array): Promise<void> {
  await ready;
  const messages = await answer(conversation, question);
  if (messages) talk(link, messages);
  else say({ type: "drop", link, again: false });
}

const drop = (link: string, again: boolean): void => say({ type: "drop", link, again });

/** Nobody is asked for it any more. */
function noMore(id: number): void {
  if (swarms.delete(id)) say({ type: "found", id });
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

async function upload(job: Job, work: Upload): Promise<{ about: string; root: string }> {
  const { file, conversation } = work;
  const shelf = await shelves.get(job.id);
  work.read ??= (await begun(work, shelf)) ?? (await read(job, work, shelf));
  const outgoing = work.read;
  const { root } = outgoing;
  const path = pathOf(conversation, root);
  if (work.copied) say({ type: "kept", id: job.id, on: true });
  const standing = await wire
    .json<{ complete: boolean; present: string }>(job, "PUT", `${path}?size=${outgoing.size}`, bytesOf(outgoing.list))
    .catch((error: unknown) => {
      // Others of the account may have filled it meanwhile.
      throw error instanceof Refused && error.code === "limit_reached" ? new Refused("file_quota", error.text) : error;
    });
  if (!standing.complete) {
    const missing = outgoing.missing(Uint8Array.fromBase64(standing.present));
    if (!missing) throw new Refused("malformed_answer", "which chunks are there does not read");
    let done = outgoing.bytes - missing.reduce((sum: number, chunk: number) => sum + placeOf(outgoing, chunk).bytes, 0);
    say({ type: "step", id: job.id, stage: "moving", done });
    await together([...missing], async (chunk) => {
      await job.turn();
      const sealed = await sealedChunk(work, outgoing, shelf, chunk);
      await wire.request(job, "PUT", `${path}/chunks/${chunk}`, 0, sealed);
      done += placeOf(outgoing, chunk).bytes;
      say({ type: "step", id: job.id, stage: "moving", done });
    });
    await wire.json(job, "POST", `${path}/complete`);
  }
  const about = outgoing.about.toHex();
  delete work.read;
  const copy = work.copied ? shelf : undefined;
  if (file || copy) keep(conversation, outgoing, { open: file && (() => file), copy });
  else outgoing.free();
  return { about, root };
}

/** A file that was read before the page was closed. */
async function begun(work: Upload, shelf: Shelf | undefined): Promise<WebOutgoing | undefined> {
  const kept = await shelf?.outgoing();
  if (!kept) return undefined;
  const outgoing = new WebWanted(Uint8Array.fromHex(kept.about)).list(Uint8Array.fromBase64(kept.list)).done();
  work.begun = true;
  work.copied = kept.copied;
  if (!work.file || work.file.size === outgoing.bytes) return outgoing;
  outgoing.free();
  throw new Refused("file_other", "");
}

/** From the copy, or else from the file. */
async function sealedChunk(work: Upload, outgoing: WebOutgoing, shelf: Shelf | undefined, chunk: number): Promise<Uint8Array<ArrayBuffer>> {
  const kept = work.copied ? await shelf?.read(chunk) : undefined;
  if (kept && outgoing.isChunk(chunk, kept)) return kept;
  if (!work.file) throw new Refused("file_closed", "");
  const { start, bytes } = placeOf(outgoing, chunk);
  const part = await slice(work.file, start, bytes);
  return bytesOf(changedIfItThrows(() => outgoing.seal(chunk, part), work.begun ? "file_other" : "file_changed"));
}

/** What is large enough to be asked for is kept for those who ask. */
function keep(conversation: string, outgoing: WebOutgoing, from: Parameters<typeof hold>[2]): void {
  if (!isLarge(outgoing)) return outgoing.free();
  const { root } = outgoing;
  hold(conversation, outgoing, from);
  say({ type: "held", conversation, root });
}

function isLarge(file: WebOutgoing | WebIncoming): boolean {
  const beyond = file.part(SMALL_CHUNKS);
  beyond?.free();
  return beyond !== undefined;
}

/** Asks first, so that no large file is read for nothing; then reads it once, and keeps a sealed copy where there is room. */
async function read(job: Job, work: Upload, shelf: Shelf | undefined): Promise<WebOutgoing> {
  const { file } = work;
  if (!file) throw new Refused("file_closed", "");
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
  let copy = file.size <= COPY_BYTES_MAX && (await makeRoom(size)) ? shelf : undefined;
  try {
    for (let chunk = 0; ; chunk += 1) {
      const place = reading.part(chunk);
      if (!place) break;
      const { start, bytes } = place;
      place.free();
      await job.turn();
      const part = await slice(file, start, bytes);
      const sealed = changedIfItThrows(() => reading.take(part));
      copy = await copy?.write(chunk, bytesOf(sealed)).then(
        () => copy,
        () => shelf?.clear(),
      );
      say({ type: "step", id: job.id, stage: "checking", done: start + bytes });
    }
  } catch (error) {
    reading.free();
    throw error;
  }
  // This takes `reading`.
  const outgoing = changedIfItThrows(() => reading.done(file.name));
  const known = { about: outgoing.about.toHex(), list: outgoing.list.toBase64(), copied: copy !== undefined };
  work.copied = await (shelf?.seal("outgoing", known) ?? Promise.reject()).then(
    () => known.copied,
    () => false,
  );
  return outgoing;
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

function changedIfItThrows<T>(work: () => T, code = "file_changed"): T {
  try {
    return work();
  } catch (error) {
    // A module that has trapped is in no state to go on from.
    if (error instanceof WebAssembly.RuntimeError) throw error;
    throw new Refused(code, String(error));
  }
}

async function download(job: Job, work: Download): Promise<Got> {
  const { id } = job;
  const { conversation } = work;
  const shelf = await shelves.get(id);
  const wanted = new WebWanted(Uint8Array.fromHex(work.about));
  const path = pathOf(conversation, wanted.root);
  const known = await shelf?.list();
  const { root } = wanted;
  let listing: Listing | undefined;
  const request = async (): Promise<Uint8Array<ArrayBuffer>> => {
    try {
      return await wire.request(job, "GET", `${path}/list`, wanted.listBytes);
    } catch (error) {
      if (!work.seeks || !(error instanceof Refused) || error.code !== "not_found") throw error;
      // A member may have it.
      listing = new Listing(job, wanted, { say: talk, drop, route: () => say({ type: "route", id }) });
      swarms.set(id, listing);
      say({ type: "seek", id, conversation, root });
      return listing.run(error);
    }
  };
  const list = known ? Uint8Array.fromBase64(known) : await request().catch((error: unknown) => {
    noMore(id);
    throw error;
  });
  const file: Coming = { path, root, incoming: damagedIfItThrows(() => wanted.list(list)), shelf };
  let place: Place | undefined;
  try {
    if (shelf && !known) file.shelf = await shelf.seal("list", list.toBase64()).then(() => shelf, () => undefined);
    if (file.shelf) say({ type: "kept", id, on: true });
    const there = (await file.shelf?.chunks()) ?? new Set();
    // What is there from before is put to its place in the end, and no memory is filled before that.
    const isDirect = work.target !== "memory" && work.target !== "later" && there.size === 0;
    if (isDirect || !file.shelf) place = await placeOfAll(job, work);
    let head = await fill(job, work, file, there, place, listing);
    if (!place) {
      place = await placeOfAll(job, work);
      head = await putDown(job, file, place);
    }
    job.signal.throwIfAborted();
    const blob = await place.done(head.picture);
    const { target } = work;
    // This takes `incoming`.
    const open = (): Blob | Promise<Blob> => blob ?? (target as FileSystemFileHandle).getFile();
    keep(conversation, file.incoming.done(), { memory: blob ? work.bytes : 0, open });
    return blob ? { ...head, blob } : head;
  } catch (error) {
    noMore(id);
    await place?.drop();
    file.incoming.free();
    throw error;
  }
}

/** A file that comes in. */
interface Coming {
  path: string;
  root: string;
  incoming: WebIncoming;
  /** Where it is kept meanwhile. */
  shelf: Shelf | undefined;
}

/** Where all of it goes; if nobody has said that since the page was closed, the person is asked. */
async function placeOfAll(job: Job, work: Download): Promise<Place> {
  if (work.target === "later") {
    say({ type: "ready", id: job.id });
    const ended = new Promise<never>((_, reject) => job.signal.addEventListener("abort", () => reject(job.signal.reason)));
    work.target = await Promise.race([work.chosen.promise, ended]);
  }
  return openPlace(work.target);
}

/** Brings all chunks that are not there, from the relay and from members who have them. */
async function fill(
  job: Job,
  work: Download,
  file: Coming,
  there: Set<number>,
  place: Place | undefined,
  listing: Listing | undefined,
): Promise<Got> {
  const { id } = job;
  const { conversation } = work;
  const { incoming, path, root } = file;
  let head: Got = { kind: Head.kind(new Uint8Array()) };
  let done = 0;
  const missing: number[] = [];
  for (let chunk = 0; incoming.chunkBytes(chunk) !== undefined; chunk += 1)
    if (there.has(chunk)) done += placeOf(incoming, chunk).bytes;
    else missing.push(chunk);
  if (done > 0) say({ type: "step", id, stage: "moving", done });
  const seeks = work.seeks && (isLarge(incoming) || listing !== undefined) && missing.length > 0;
  const swarm = new Swarm(job, incoming, Uint32Array.from(missing), seeks, {
    relay: (relayJob, chunk) => opened(relayJob, incoming, path, chunk),
    take: async (chunk, { sealed, part }) => {
      if (chunk === 0) head = known(part.subarray(0, Head.bytes()));
      const { length } = part;
      await file.shelf?.write(chunk, sealed).catch((error: unknown) => {
        if (!place) throw new Refused("file_disk", String(error));
        // It comes all the same; closing the page ends it.
        file.shelf = undefined;
        void leave(id, false);
        say({ type: "kept", id, on: false });
      });
      await place?.write(chunk, placeOf(incoming, chunk).start, part);
      done += length;
      say({ type: "step", id, stage: "moving", done });
    },
    say: talk,
    drop,
    route: () => say({ type: "route", id }),
    tell: (origins, dropped) => say({ type: "origins", id, origins, dropped }),
  });
  swarms.set(id, swarm);
  if (listing?.lister) swarm.up(listing.lister.link, listing.lister.account, listing.lister.routed);
  if (seeks && !listing) say({ type: "seek", id, conversation, root });
  try {
    await swarm.run();
  } finally {
    noMore(id);
  }
  return head;
}

/** Puts what was kept to its place. What was damaged meanwhile is fetched again. */
async function putDown(job: Job, { incoming, path, shelf }: Coming, place: Place): Promise<Got> {
  let head: Got = { kind: Head.kind(new Uint8Array()) };
  for (let chunk = 0; incoming.chunkBytes(chunk) !== undefined; chunk += 1) {
    await job.turn();
    const { part } = (await keptPiece(incoming, shelf, chunk)) ?? (await opened(job, incoming, path, chunk));
    if (chunk === 0) head = known(part.subarray(0, Head.bytes()));
    await place.write(chunk, placeOf(incoming, chunk).start, part);
  }
  return head;
}

async function keptPiece(incoming: WebIncoming, shelf: Shelf | undefined, chunk: number): Promise<Piece | undefined> {
  const sealed = await shelf?.read(chunk);
  if (!sealed) return undefined;
  try {
    return { sealed, part: bytesOf(incoming.open(chunk, sealed)) };
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) throw error;
    return undefined;
  }
}

function known(head: Uint8Array): Got {
  const shown = Head.picture(head);
  return { kind: Head.kind(head), ...(shown !== undefined && { picture: shown }) };
}

/** A chunk as it was sent. One that is not may have been spoilt in the browser's cache: it is fetched once more, past that. */
async function opened(job: Job, incoming: WebIncoming, path: string, chunk: number): Promise<Piece> {
  const fetched = async (anew: boolean): Promise<Piece> => {
    const sealed = await wire.request(job, "GET", `${path}/chunks/${chunk}`, incoming.chunkBytes(chunk) ?? 0, undefined, anew);
    return { sealed, part: bytesOf(damagedIfItThrows(() => incoming.open(chunk, sealed))) };
  };
  try {
    return await fetched(false);
  } catch (error) {
    if (!(error instanceof Refused) || error.code !== "file_damaged") throw error;
    job.signal.throwIfAborted();
  }
  return fetched(true);
}

function damagedIfItThrows<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) throw error;
    throw new Refused("file_damaged", String(error));
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
