/** A call of two, in the tab that began or took it: what this device gives, and the connection to the other one. */
import type { Call, EngineEvent, Id, MediaState } from "../engine/api.ts";
import { bus, call } from "../state/app.ts";
import { Connection, type Media } from "./connection.ts";
import { iceServers } from "./ice.ts";
import { Local } from "./local.ts";

/** The engine takes a call as over after four times this without a word. */
export const ALIVE_EVERY_MS = 5_000;
export const MEASURE_EVERY_MS = 2_000;

export class Session {
  call: Id | undefined;
  readonly local = new Local({
    send: (kind, track) => this.connection.send(kind, track),
    tell: (mine) => this.tell(mine),
  });
  readonly connection = new Connection({
    wire: {
      description: async (round, sdp) => this.call && call("call_description", { call: this.call, round, sdp }),
      candidates: (round, list) => {
        if (this.call) void call("call_candidates", { call: this.call, round, list }).catch(() => undefined);
      },
      media: (media, fingerprint) => this.say(media, fingerprint),
    },
    local: this.local,
    ice: iceServers(),
  });
  private readonly timers: ReturnType<typeof setInterval>[] = [];
  /** What came about calls before it was known which one this is. */
  private readonly early: EngineEvent[] = [];
  private state: Call["state"] = "calling";
  private readonly stop: () => void;

  constructor(readonly video: boolean) {
    this.stop = bus.on((event) => this.heard(event));
  }

  begin(id: Id): void {
    this.call = id;
    for (const event of this.early.splice(0)) this.heard(event);
    this.timers.push(
      setInterval(() => this.say("alive"), ALIVE_EVERY_MS),
      setInterval(() => void this.connection.measured(this.state === "connected"), MEASURE_EVERY_MS),
    );
    if (this.local.mine().camera !== this.video) this.local.tell();
  }

  /** It ended before it was known which one it is. */
  get isOver(): boolean {
    return this.state === "ended";
  }

  private heard(event: EngineEvent): void {
    if (event.type !== "call" && event.type !== "call_negotiate") return;
    if (this.call === undefined) {
      this.early.push(event);
      return;
    }
    if (event.type === "call") {
      if (event.replaces === this.call) this.call = event.call;
      if (event.call === this.call) this.state = event.state;
    } else if (event.call === this.call) this.connection.take(event);
  }

  private say(media: Media | "alive", fingerprint?: string): void {
    if (this.call) void call("call_media", { call: this.call, media, ...(fingerprint && { fingerprint }) }).catch(() => undefined);
  }

  private tell(mine: MediaState): void {
    if (this.call) void call("call_state", { call: this.call, ...mine }).catch(() => undefined);
  }

  close(): void {
    this.stop();
    for (const timer of this.timers) clearInterval(timer);
    this.connection.close();
    this.local.close();
  }
}
