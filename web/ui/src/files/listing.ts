/** The list of a file's chunks from a member, where the relay has the file no more: with it, the rest comes as it always does. */
import type { Id } from "../engine/api.ts";
import { ANSWER_MS, type Doing, LINK_MS, LINK_ROUTED_MS } from "./swarm.ts";
import type { WebListing, WebWanted } from "./wasm/sotto_web_files.js";
import type { Job } from "./wire.ts";

/** Whoever is there and has it says so by then. */
const FIRST_ANSWER_MS = 4_000;
/** A list is here by then, once it was asked for. */
const LIST_MS = 6_000;

/** Who has it, and gives the rest. */
export interface Lister {
  link: Id;
  account: Id;
  routed: boolean;
}

export class Listing {
  /** Who gave it, while the link stands. */
  lister: Lister | undefined;
  private readonly end = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
  private readonly asked = new Map<Id, { account: Id; routed: boolean; listing: WebListing }>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isRouted = false;
  private refusal: unknown;

  constructor(
    private readonly job: Job,
    private readonly wanted: WebWanted,
    private readonly doing: Pick<Doing, "say" | "drop" | "route">,
  ) {}

  /** Fails with `refusal` if nobody gives it. */
  async run(refusal: unknown): Promise<Uint8Array<ArrayBuffer>> {
    const { signal } = this.job;
    const aborted = (): void => this.end.reject(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    this.refusal = refusal;
    this.within(FIRST_ANSWER_MS);
    try {
      return await this.end.promise;
    } finally {
      signal.removeEventListener("abort", aborted);
      clearTimeout(this.timer);
      for (const link of [...this.asked.keys()]) this.part(link, link !== this.lister?.link, true);
    }
  }

  coming(): void {
    this.within(this.isRouted ? LINK_ROUTED_MS : LINK_MS);
  }

  up(link: Id, account: Id, routed: boolean): void {
    const listing = this.wanted.listing();
    this.asked.set(link, { account, routed, listing });
    const question = listing.ask();
    if (question) this.doing.say(link, question);
    this.within(LIST_MS);
  }

  down(link: Id): void {
    if (this.lister?.link === link) this.lister = undefined;
    this.part(link, false, false);
  }

  async came(link: Id, message: Uint8Array): Promise<void> {
    const one = this.asked.get(link);
    if (!one || this.lister) return;
    try {
      const list = one.listing.take(message) as Uint8Array<ArrayBuffer> | undefined;
      if (!list) return one.listing.isGone ? this.part(link, true, true) : undefined;
      this.lister = { link, account: one.account, routed: one.routed };
      this.end.resolve(list);
    } catch (error) {
      // A module that has trapped is in no state to go on from.
      if (error instanceof WebAssembly.RuntimeError) return this.end.reject(error);
      this.part(link, true, false);
    }
  }

  private within(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.next(), ms);
  }

  /** Nobody gave it so far. */
  private next(): void {
    if (this.isRouted) return this.end.reject(this.refusal);
    this.isRouted = true;
    this.doing.route();
    this.within(ANSWER_MS);
  }

  private part(link: Id, drops: boolean, again: boolean): void {
    this.asked.get(link)?.listing.free();
    if (this.asked.delete(link) && drops) this.doing.drop(link, again);
  }
}
