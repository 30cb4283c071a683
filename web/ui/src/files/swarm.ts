/**
 * The chunks of one file, from the relay and over links from members at once. Who is asked for which is decided in the module
 * (`WebChunks`); here is who is there, what came of asking, and who is not asked any more.
 */
import type { Id } from "../engine/api.ts";
import type { Origin } from "./messages.ts";
import { WebAsking, WebChunks, type WebIncoming } from "./wasm/sotto_web_files.js";
import { Job, Refused } from "./wire.ts";

/** Chunks that are under way from the relay at once. One alone waits for its disk and the line in turn. */
export const AT_ONCE = 4;
/** The relay waits so long for the first member to say that it has the file, if anybody is there. */
const FIRST_ANSWER_MS = 300;
/** And so long for a link to whoever said so. */
const FIRST_LINK_MS = 1_500;
/** Where there is nobody else to ask, whoever is there and has it says so by then. */
export const ANSWER_MS = 6_000;
/** And whoever said so stands at the end of a link; of one by way of the relay. */
export const LINK_MS = 9_000;
export const LINK_ROUTED_MS = 17_000;
/** A link that is silent while something is asked for. */
const SILENT_MS = 6_000;
/** One chunk: below 420 kbit/s the relay is faster. */
const CHUNK_MS = 20_000;
/** The longest and the shortest time between two looks. */
const LOOK_MS = 250;
const LOOK_MIN_MS = 10;
/** How often it is told from whom it comes. */
const TELL_EVERY_MS = 500;

const RELAY = 0;

/** A chunk that was held against the file's hashes, as it came and as a part of the file. */
export interface Piece {
  sealed: Uint8Array<ArrayBuffer>;
  part: Uint8Array<ArrayBuffer>;
}

export interface Doing {
  /** Fetches a chunk from the relay. */
  relay: (job: Job, chunk: number) => Promise<Piece>;
  /** Writes it. */
  take: (chunk: number, piece: Piece) => Promise<void>;
  say: (link: Id, question: Uint8Array) => void;
  drop: (link: Id, again: boolean) => void;
  /** It may come by way of what the relay lends. */
  route: () => void;
  tell: (origins: Origin[], dropped: Id[]) => void;
}

interface Source {
  origin: Origin;
  link?: { id: Id; asking: WebAsking; heard: number; since: Map<number, number> };
}

export class Swarm {
  private readonly chunks: WebChunks;
  private readonly sources = new Map<number, Source>();
  private readonly origins: Origin[] = [];
  private readonly dropped: Id[] = [];
  private readonly relayJob: Job;
  private readonly end = Promise.withResolvers<void>();
  private readonly began = performance.now();
  private next = 1;
  private writing = 0;
  private told = 0;
  private isOver = false;
  /** Why the relay does not give, if it does not. */
  private refusal: unknown;
  /** So long somebody is waited for while nobody gives. */
  private patience = 0;
  private isRouted = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly job: Job,
    private readonly file: WebIncoming,
    missing: Uint32Array,
    private readonly seeks: boolean,
    private readonly doing: Doing,
  ) {
    this.chunks = new WebChunks(missing, seeks ? FIRST_ANSWER_MS : 0);
    this.relayJob = new Job(job.id, (on) => job.waiting(on));
    this.join(RELAY, { origin: { account: null, bytes: 0 } }, AT_ONCE);
    job.signal.addEventListener("abort", () => this.end.reject(job.signal.reason), { once: true });
  }

  /** Until all of it is written. */
  async run(): Promise<void> {
    this.look();
    try {
      await this.end.promise;
    } finally {
      this.isOver = true;
      clearTimeout(this.timer);
      this.relayJob.cancel();
      for (const { link } of this.sources.values()) if (link) this.part(link, false);
      this.chunks.free();
      this.job.waiting(false);
      this.doing.tell(this.origins, this.dropped);
    }
  }

  /** Somebody has it, and a link is being made. */
  coming(): void {
    if (this.isOver) return;
    this.chunks.holdUntil(FIRST_LINK_MS);
    this.waitsFor(this.isRouted ? LINK_ROUTED_MS : LINK_MS);
  }

  up(id: Id, account: Id, routed: boolean): void {
    if (this.isOver) return this.doing.drop(id, false);
    const link = { id, asking: new WebAsking(this.file), heard: this.now(), since: new Map<number, number>() };
    this.join(this.next, { origin: { account, bytes: 0, routed }, link }, WebChunks.atOnce());
    this.next += 1;
    this.look();
  }

  down(id: Id): void {
    for (const [at, { link }] of this.sources) if (link?.id === id) this.leave(at, true);
  }

  /** Something came over a link. */
  async came(id: Id, message: Uint8Array): Promise<void> {
    const found = [...this.sources].find(([, { link }]) => link?.id === id);
    const link = found?.[1].link;
    if (this.isOver || !found || !link) return;
    const [at] = found;
    link.heard = this.now();
    let piece: Piece | undefined;
    let chunk: number;
    try {
      const answer = link.asking.take(message);
      if (!answer) return;
      chunk = answer.chunk;
      const sealed = answer.sealed() as Uint8Array<ArrayBuffer> | undefined;
      link.since.delete(chunk);
      piece = sealed && { sealed, part: this.file.open(chunk, sealed) as Uint8Array<ArrayBuffer> };
    } catch (error) {
      // A module that has trapped is in no state to go on from.
      if (error instanceof WebAssembly.RuntimeError) return this.end.reject(error);
      return this.lies(at);
    }
    if (!piece) return this.leave(at, true);
    this.job.waiting(false);
    await this.arrived(at, chunk, piece);
  }

  private now(): number {
    return performance.now() - this.began;
  }

  private join(at: number, source: Source, window: number): void {
    this.sources.set(at, source);
    this.origins.push(source.origin);
    this.chunks.add(at, window, this.now());
  }

  private waitsFor(ms: number): void {
    this.patience = Math.max(this.patience, this.now() + ms);
  }

  /** Asks everybody for what is next, and looks again after a while. */
  private look(): void {
    if (this.isOver) return;
    clearTimeout(this.timer);
    this.watch();
    if (this.sources.size === 0 && this.now() >= this.patience) {
      if (!this.seeks || this.isRouted) return this.end.reject(this.refusal);
      this.isRouted = true;
      this.doing.route();
      this.waitsFor(ANSWER_MS);
    }
    for (const [at, source] of this.sources)
      for (let chunk = this.chunks.next(at, this.now()); chunk !== undefined; chunk = this.chunks.next(at, this.now()))
        void (source.link ? this.askLink(at, chunk) : this.askRelay(chunk));
    if (this.chunks.isDone && this.writing === 0) return this.end.resolve();
    const again = (this.chunks.lookAgain(this.now()) ?? Number.POSITIVE_INFINITY) - this.now();
    this.timer = setTimeout(() => this.look(), Math.min(LOOK_MS, Math.max(LOOK_MIN_MS, again)));
  }

  /** Who went silent is not waited for. */
  private watch(): void {
    const now = this.now();
    for (const [at, { link }] of this.sources) {
      if (!link || link.since.size === 0) continue;
      const first = Math.min(...link.since.values());
      if (now - link.heard > SILENT_MS || now - first > CHUNK_MS) this.leave(at, true);
    }
  }

  private async askLink(at: number, chunk: number): Promise<void> {
    await this.job.turn().catch(() => undefined);
    const link = this.sources.get(at)?.link;
    if (this.isOver || !link) return;
    if (link.since.size === 0) link.heard = this.now();
    link.since.set(chunk, this.now());
    const question = link.asking.ask(chunk, this.file.chunkBytes(chunk) ?? 0);
    if (question) this.doing.say(link.id, question);
    else this.leave(at, true);
  }

  private async askRelay(chunk: number): Promise<void> {
    let piece: Piece;
    try {
      await this.job.turn();
      piece = await this.doing.relay(this.relayJob, chunk);
    } catch (error) {
      if (this.isOver) return;
      // What the relay does not give members may have.
      if (!(error instanceof Refused) || !this.seeks) return this.end.reject(error);
      this.refusal = error;
      this.leave(RELAY, false);
      return;
    }
    await this.arrived(RELAY, chunk, piece);
  }

  private async arrived(at: number, chunk: number, piece: Piece): Promise<void> {
    if (this.isOver || !this.chunks.came(at, chunk, this.now())) return;
    const source = this.sources.get(at);
    if (source) source.origin.bytes += piece.part.length;
    this.writing += 1;
    try {
      // The next is asked for while this one is written.
      this.look();
      await this.doing.take(chunk, piece);
    } catch (error) {
      return this.end.reject(error);
    } finally {
      this.writing -= 1;
    }
    if (this.seeks && this.now() - this.told >= TELL_EVERY_MS) {
      this.told = this.now();
      this.doing.tell(this.origins, this.dropped);
    }
    this.look();
  }

  /** Somebody sent what is not the file's: it is named and not asked again. */
  private lies(at: number): void {
    const account = this.sources.get(at)?.origin.account;
    if (account) this.dropped.push(account);
    this.doing.tell(this.origins, this.dropped);
    this.leave(at, false);
  }

  private leave(at: number, again: boolean): void {
    const source = this.sources.get(at);
    if (!source || this.isOver) return;
    this.sources.delete(at);
    this.chunks.remove(at);
    if (source.link) this.part(source.link, again);
    if (this.sources.size === 0 && this.seeks) this.waitsFor(ANSWER_MS);
    this.look();
  }

  private part(link: NonNullable<Source["link"]>, again: boolean): void {
    link.asking.free();
    this.doing.drop(link.id, again);
  }
}
