/**
 * Direct links to other devices, as far as a page has to do with them: in a browser only pages make data channels. Who may ask and answer whom the
 * engine decides (`node/core/src/peers`); what is asked, given and believed is the worker's. Here each link has its
 * `RTCPeerConnection`, and what is said on it passes through.
 */
import { createEffect, createRoot, untrack } from "solid-js";
import { addWay, Gathering, iceServers } from "../call/ice.ts";
import type { EngineEvent, Id, LinkAsked, LinkNegotiate } from "../engine/api.ts";
import { app, bus, call, conversation, me } from "../state/app.ts";
import { prefs } from "../state/prefs.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** As `CHANNEL` in `protocol/src/peer.rs`. */
const LABEL = "sotto-peer/1";
/** The longest message: `MESSAGE_BYTES_MAX` there. */
const MESSAGE_BYTES_MAX = 64 * 1024;
/** Links of a page at a time, of both kinds. */
const LINKS_MAX = 16;
/** Questions that the other end may have open at a time: `AT_ONCE` in `node/core/src/peers/asking.rs`. */
const QUESTIONS_MAX = 6;
/** What the browser is given to send before it has sent what it has, and how far that may run low. */
const BUFFERED_MAX = 1024 * 1024;
const BUFFERED_LOW = 256 * 1024;
/** What does not stand by then comes to nothing. */
const CONNECT_MS = 8_000;
/** The same by way of what the relay lends. */
const CONNECT_ROUTED_MS = 16_000;
/** A link without a question is closed. */
const IDLE_MS = 60_000;
/** A giver offers anew no faster than this. */
const ROUND_EVERY_MS = 1_000;

type Tell = (said: ToWorker, transfer?: Transferable[]) => void;

let tell: Tell = () => undefined;
/** What this page can give, by conversation and root. */
const held = new Map<string, { conversation: Id; root: string }>();
/** Questions of this page, with the download each is for. */
const asks = new Map<Id, { id: number; conversation: Id; root: string; routed: boolean }>();
const links = new Map<Id, Link>();

const draw = (): Id => crypto.getRandomValues(new Uint8Array(16)).toHex();
const key = (conversation: Id, root: string): string => `${conversation}/${root}`;
const isOn = (): boolean => "RTCPeerConnection" in window && !prefs.relayOnly;
const isConnected = (): boolean => app.state?.status.status === "synchronised";
/** What cannot be said now is said again, or the file comes from the relay. */
const quietly = (said: Promise<unknown>): void => void said.catch(() => undefined);

/** Whether somebody could be there who gives a file of this conversation; or could come, while nobody knows yet who is there. */
export function mayCome(id: Id, later = false): boolean {
  const one = conversation(id);
  if (!isOn() || !one || one.kind === "room") return false;
  const own = one.people.find(({ account }) => account === me());
  return later || one.present.some((account) => account !== me()) || (own?.devices.length ?? 0) > 1;
}

/** Begins; what comes for the worker goes there. */
export function begin(to: Tell): void {
  tell = to;
}

/** What the worker says about links. */
export function said(by: Extract<FromWorker, { type: "held" | "seek" | "route" | "found" | "say" | "drop" }>): void {
  switch (by.type) {
    case "held":
      held.set(key(by.conversation, by.root), { conversation: by.conversation, root: by.root });
      if (isOn()) quietly(call("link_holds", { conversation: by.conversation, root: by.root }));
      break;
    case "seek": {
      const ask = draw();
      const { id, conversation, root } = by;
      asks.set(ask, { id, conversation, root, routed: false });
      if (isOn()) quietly(call("link_want", { ask, conversation, root }));
      break;
    }
    case "route":
      for (const [ask, one] of asks) {
        if (one.id !== by.id) continue;
        one.routed = true;
        quietly(call("link_route", { ask }));
      }
      break;
    case "found":
      for (const [ask, { id }] of asks) {
        if (id !== by.id) continue;
        asks.delete(ask);
        quietly(call("link_end_want", { ask }));
        for (const link of [...links.values()]) if (link.ask === ask) link.close(false);
      }
      break;
    case "say":
      links.get(by.link)?.send(by.bytes);
      break;
    case "drop":
      links.get(by.link)?.close(by.again);
      break;
  }
}

function closeAll(): void {
  for (const link of [...links.values()]) link.close(false);
}

/** Nothing is asked for any more: the page goes, or its worker is gone. */
function leave(): void {
  closeAll();
  for (const ask of asks.keys()) quietly(call("link_end_want", { ask }));
  asks.clear();
}

/** The worker is gone, and what it held with it. */
export function forget(): void {
  leave();
  held.clear();
}

/** What the relay lends to find out where one is. While it has the file, the way is found by that, or there is none: what TURN carries the relay can give as well. */
let stun: Promise<RTCIceServer[]> | undefined;
const servers = (): Promise<RTCIceServer[]> =>
  (stun ??= iceServers().then((all) =>
    all.flatMap(({ urls }) => urls).filter((url) => url.startsWith("stun:")).map((urls) => ({ urls })),
  ));

/** Each engine, and each connection of one, is told anew. */
function announce(): void {
  // A relay that was started again lends at other ports.
  stun = undefined;
  void servers();
  quietly(call("links", { on: true }));
  for (const one of held.values()) quietly(call("link_holds", one));
  for (const [ask, { conversation, root, routed }] of asks) {
    quietly(call("link_want", { ask, conversation, root }));
    if (routed) quietly(call("link_route", { ask }));
  }
}

function heard(event: EngineEvent): void {
  if (event.type === "link_asked") give(event);
  else if (event.type === "link_negotiate") negotiate(event);
}

function give(asked: LinkAsked): void {
  if (!isOn() || links.size >= LINKS_MAX || !held.has(key(asked.conversation, asked.root))) return;
  Link.open(draw(), { asked }, asked.routed);
}

function negotiate(event: LinkNegotiate): void {
  const there = links.get(event.link);
  if (there) return there.negotiate(event);
  // Another tab's, or of a download that has ended.
  const ask = event.ask === null ? undefined : asks.get(event.ask);
  if (!isOn() || event.ask === null || !ask || event.what !== "take_offer" || links.size >= LINKS_MAX) return;
  tell({ type: "link_coming", id: ask.id });
  Link.open(event.link, { ask: event.ask, id: ask.id, first: event }, ask.routed);
}

type Role = { asked: LinkAsked } | { ask: Id; id: number; first: LinkNegotiate };

class Link {
  readonly ask: Id | undefined;
  private channel: RTCDataChannel | undefined;
  private round = 0;
  private offeredAt = 0;
  private isOver = false;
  /** Answers that wait for room, in messages one behind the other, and how much of the first has gone. */
  private readonly waiting: ArrayBuffer[] = [];
  private gone = 0;
  private questions = 0;
  private timer: ReturnType<typeof setTimeout>;
  private work: Promise<void> = Promise.resolve();
  private readonly pc = new RTCPeerConnection();
  private readonly gathering = new Gathering((round, list) => quietly(call("link_candidates", { link: this.id, round, list })));

  private constructor(
    private readonly id: Id,
    private readonly role: Role,
    private readonly routed: boolean,
  ) {
    const { pc } = this;
    this.ask = "ask" in role ? role.ask : undefined;
    this.timer = setTimeout(() => this.close(true), this.connects());
    pc.onicecandidate = ({ candidate }) => candidate && this.gathering.add(candidate, this.round);
    pc.onconnectionstatechange = () => {
      if (pc.connectionState === "failed" || pc.connectionState === "disconnected") this.restart();
    };
    pc.ondatachannel = ({ channel }) => this.use(channel);
  }

  static open(id: Id, role: Role, routed: boolean): void {
    const link = new Link(id, role, routed);
    links.set(id, link);
    link.then(async () => link.pc.setConfiguration({ iceServers: await (routed ? iceServers() : servers()) }));
    if ("first" in role) return link.negotiate(role.first);
    link.use(link.pc.createDataChannel(LABEL));
    link.then(() => link.offer());
  }

  /** One step after the other: a candidate follows its description. */
  private then(step: () => Promise<void>): void {
    this.work = this.work.then(() => (this.isOver ? undefined : step())).catch(() => this.close(true));
  }

  negotiate(event: LinkNegotiate): void {
    this.then(async () => {
      switch (event.what) {
        case "take_offer":
          this.round = event.round;
          await this.pc.setRemoteDescription({ type: "offer", sdp: event.given });
          await this.pc.setLocalDescription(await this.pc.createAnswer());
          await call("link_answer", { link: this.id, round: this.round, sdp: described(this.pc) });
          break;
        case "take_answer":
          if (event.round === this.round) await this.pc.setRemoteDescription({ type: "answer", sdp: event.given });
          break;
        case "take_candidates":
          if (event.round === this.round) for (const way of event.given) await addWay(this.pc, way);
          break;
      }
    });
  }

  private async offer(): Promise<void> {
    if (!("asked" in this.role)) return;
    const { ask, conversation, root, device } = this.role.asked;
    this.offeredAt = performance.now();
    if (this.pc.signalingState === "have-local-offer") await this.pc.setLocalDescription({ type: "rollback" });
    await this.pc.setLocalDescription(await this.pc.createOffer({ iceRestart: this.round > 0 }));
    await call("link_offer", { link: this.id, ask, conversation, root, device, routed: this.routed, round: this.round, sdp: described(this.pc) });
  }

  /** The way is gone, or may be another one now. Who gives offers anew; who takes waits for that, or for somebody else. */
  restart(): void {
    if (!("asked" in this.role) || performance.now() - this.offeredAt < ROUND_EVERY_MS) return;
    this.rest(this.connects());
    this.then(() => {
      this.round += 1;
      // If nobody can be told, the way that there was may come back.
      return this.offer().catch(() => undefined);
    });
  }

  private connects(): number {
    return this.routed ? CONNECT_ROUTED_MS : CONNECT_MS;
  }

  /** Ends in so long, unless something happens. */
  private rest(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.close(true), ms);
  }

  private use(channel: RTCDataChannel): void {
    if (this.channel) return this.close(false);
    this.channel = channel;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = BUFFERED_LOW;
    channel.onbufferedamountlow = () => this.flow();
    channel.onclose = () => this.close(true);
    channel.onmessage = ({ data }) => this.came(data as unknown);
    channel.onopen = () => {
      this.rest(IDLE_MS);
      if ("first" in this.role) void this.up(this.role.id, this.role.first.account);
    };
  }

  private async up(id: number, account: Id): Promise<void> {
    const routed = this.routed && (await leadsOverServer(this.pc));
    if (!this.isOver) tell({ type: "link_up", id, link: this.id, account, routed });
  }

  private came(bytes: unknown): void {
    if (!(bytes instanceof ArrayBuffer) || bytes.byteLength > MESSAGE_BYTES_MAX) return this.close(false);
    this.rest(IDLE_MS);
    if (!("asked" in this.role)) return tell({ type: "came", link: this.id, bytes }, [bytes]);
    this.questions += 1;
    if (this.questions > QUESTIONS_MAX) return this.close(false);
    tell({ type: "asked", link: this.id, conversation: this.role.asked.conversation, bytes }, [bytes]);
  }

  /** Sends a question, or all messages of an answer, as the line takes them. */
  send(bytes: ArrayBuffer): void {
    this.waiting.push(bytes);
    this.flow();
  }

  private flow(): void {
    const { channel } = this;
    if (channel?.readyState !== "open") return;
    for (let first = this.waiting[0]; first && channel.bufferedAmount < BUFFERED_MAX; first = this.waiting[0]) {
      const length = Math.min(MESSAGE_BYTES_MAX, first.byteLength - this.gone);
      channel.send(new Uint8Array(first, this.gone, length));
      this.gone += length;
      if (this.gone < first.byteLength) continue;
      this.waiting.shift();
      this.gone = 0;
      this.questions -= 1;
    }
  }

  close(again: boolean): void {
    if (this.isOver) return;
    this.isOver = true;
    clearTimeout(this.timer);
    this.gathering.close();
    this.pc.onconnectionstatechange = null;
    if (this.channel) this.channel.onclose = null;
    this.pc.close();
    links.delete(this.id);
    quietly(call("link_close", { link: this.id, again }));
    if ("first" in this.role) tell({ type: "link_down", link: this.id });
  }
}

/** The other end's address at a server may have shown itself by a packet before its candidate came. */
async function leadsOverServer(pc: RTCPeerConnection): Promise<boolean> {
  const stats = (await pc.getStats()) as unknown as ReadonlyMap<string, Record<string, unknown>>;
  const transport = [...stats.values()].find((one) => one["type"] === "transport");
  const pair = stats.get(String(transport?.["selectedCandidatePairId"]));
  return ["localCandidateId", "remoteCandidateId"].some((end) =>
    ["relay", "prflx"].includes(String(stats.get(String(pair?.[end]))?.["candidateType"])),
  );
}

/** Candidates travel by themselves, each looked at. */
function described(pc: RTCPeerConnection): string {
  return (pc.localDescription?.sdp ?? "").replace(/^a=(candidate:|end-of-candidates).*\r\n/gm, "");
}

bus.on(heard);
addEventListener("pagehide", leave);
addEventListener("online", () => {
  for (const link of links.values()) link.restart();
});
createRoot(() =>
  createEffect(() => {
    const [on, connected] = [isOn(), isConnected()];
    untrack(() => {
      if (!on) {
        closeAll();
        quietly(call("links", { on: false }));
      } else if (connected) announce();
    });
  }),
);
