/**
 * A call of a group, in the tab that joined it: what this device gives, and a connection to each of the other devices, over which
 * everything goes sealed.
 */
import { createSignal } from "solid-js";
import type { EngineEvent, GroupCall, GroupNegotiate, GroupPerson, Id, MediaState } from "../engine/api.ts";
import { bus, call } from "../state/app.ts";
import { Connection } from "./connection.ts";
import { iceServers } from "./ice.ts";
import { Local } from "./local.ts";
import { type Counts, Sealing } from "./sealing.ts";
import { ALIVE_EVERY_MS, MEASURE_EVERY_MS } from "./session.ts";

/** What is sent to each of so many others: a device encodes and sends its picture once for each of them. */
const SIZES: readonly { bitrate: number; lines: number }[] = [
  { bitrate: 1_200_000, lines: 720 },
  { bitrate: 600_000, lines: 480 },
  { bitrate: 400_000, lines: 360 },
  { bitrate: 300_000, lines: 360 },
  { bitrate: 200_000, lines: 240 },
];
/** A screen has to be read: fewer lines would spoil it, so it keeps them and comes slower. */
const SCREEN_LINES = 1_080;

interface Link {
  connection: Connection;
  /** As the engine said last. */
  link: GroupPerson["link"];
}

/** How it stands with what comes from a device. */
export interface Traffic extends Counts {
  /** Something came since the last look, and none of it could be opened. */
  isLocked: boolean;
}

export class GroupSession {
  readonly local = new Local({
    send: async (kind, track) => {
      await Promise.all([...this.links().values()].map(({ connection }) => connection.send(kind, track)));
    },
    tell: (mine) => this.tell(mine),
  });
  /** Which call it is, once that is known. */
  readonly call;
  readonly links;
  readonly traffic;
  private readonly setCall;
  private readonly setLinks;
  private readonly setTraffic;
  private readonly sealing = new Sealing((counts) => this.counted(counts), () => this.failed("failed"));
  private readonly ice = iceServers();
  private readonly timers: ReturnType<typeof setInterval>[] = [];
  /** What came about calls before it was known which one this is. */
  private readonly early: EngineEvent[] = [];
  private readonly stop: () => void;

  /** `failed`: this tab cannot go on with it. */
  constructor(private readonly failed: (reason: "lost" | "failed") => void) {
    [this.call, this.setCall] = createSignal<Id>();
    [this.links, this.setLinks] = createSignal<ReadonlyMap<Id, Link>>(new Map());
    [this.traffic, this.setTraffic] = createSignal<ReadonlyMap<Id, Traffic>>(new Map());
    this.stop = bus.on((event) => this.heard(event));
  }

  begin(id: Id): void {
    this.setCall(id);
    for (const event of this.early.splice(0)) this.heard(event);
    this.timers.push(
      setInterval(() => this.alive(), ALIVE_EVERY_MS),
      setInterval(() => this.measured(), MEASURE_EVERY_MS),
    );
    this.local.tell();
  }

  private heard(event: EngineEvent): void {
    if (event.type !== "group_call" && event.type !== "group_call_negotiate" && event.type !== "group_call_key") return;
    if (this.call() === undefined) {
      this.early.push(event);
      return;
    }
    if (event.type === "group_call" && event.replaces === this.call()) this.setCall(event.call);
    if (event.call !== this.call()) return;
    if (event.type === "group_call_key") this.sealing.take(event);
    else if (event.type === "group_call_negotiate") this.negotiate(event);
    else this.meet(event);
  }

  private negotiate(event: GroupNegotiate): void {
    const isOffer = event.what === "offer" || event.what === "take_offer";
    if (!this.links().has(event.device) && isOffer) {
      const connection = this.connect(event.device);
      this.setLinks(new Map(this.links()).set(event.device, { connection, link: null }));
      this.fit();
    }
    this.links().get(event.device)?.connection.take(event);
  }

  private connect(device: Id): Connection {
    const about = () => {
      const id = this.call();
      return id === undefined ? undefined : { call: id, device };
    };
    return new Connection({
      wire: {
        description: async (round, sdp) => {
          const to = about();
          if (to) await call("group_call_description", { ...to, round, sdp });
        },
        candidates: (round, list) => {
          const to = about();
          if (to) void call("group_call_candidates", { ...to, round, list }).catch(() => undefined);
        },
        media: (media, fingerprint) => {
          const to = about();
          if (to) void call("group_call_media", { ...to, media, ...(fingerprint && { fingerprint }) }).catch(() => undefined);
        },
      },
      local: this.local,
      ice: this.ice,
      prepare: (transceiver) => this.sealing.prepare(transceiver, device),
    });
  }

  /** Lets go of who is gone. */
  private meet({ people }: GroupCall): void {
    const links = new Map(this.links());
    for (const [device, one] of links) {
      const person = people.find((person) => person.device === device);
      if (!person || person.tampered || (one.link !== null && person.link === null)) {
        one.connection.close();
        links.delete(device);
      } else one.link = person.link;
    }
    if (links.size === this.links().size) return;
    this.setLinks(links);
    this.fit();
  }

  /** The picture as large as so many can have it. */
  private fit(): void {
    const links = [...this.links().values()];
    const size = SIZES[Math.min(links.length, SIZES.length) - 1];
    if (!size) return;
    const lines = this.local.mine().screen ? SCREEN_LINES : size.lines;
    for (const { connection } of links) void connection.limit(size.bitrate, lines).catch(() => undefined);
  }

  private alive(): void {
    const id = this.call();
    // An engine that was started anew knows nothing of it.
    if (id) void call("group_call_alive", { call: id }).catch(() => this.failed("lost"));
  }

  private measured(): void {
    for (const { connection, link } of this.links().values()) void connection.measured(link === "connected");
    this.sealing.count();
    this.fit();
  }

  private counted(counts: ReadonlyMap<Id, Counts>): void {
    const before = this.traffic();
    const traffic = new Map<Id, Traffic>();
    for (const [device, one] of counts) {
      const last = before.get(device);
      const opened = one.opened > (last?.opened ?? 0);
      const refused = one.refused > (last?.refused ?? 0);
      traffic.set(device, { ...one, isLocked: !opened && (refused || (last?.isLocked ?? false)) });
    }
    this.setTraffic(traffic);
  }

  private tell(mine: MediaState): void {
    this.fit();
    const id = this.call();
    if (id) void call("group_call_state", { call: id, ...mine }).catch(() => undefined);
  }

  close(): void {
    this.stop();
    for (const timer of this.timers) clearInterval(timer);
    for (const { connection } of this.links().values()) connection.close();
    this.sealing.close();
    this.local.close();
  }
}
