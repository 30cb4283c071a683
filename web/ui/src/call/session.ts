/**
 * The media of one call, in the tab that began or took it. What is said to the other device, and when, the engine decides; this
 * carries it out on an `RTCPeerConnection` and says how it went. Sound and picture have one section each from the start, so
 * that a camera that goes on or off changes a track and needs no new description.
 */
import { createSignal } from "solid-js";
import type { Call, EngineEvent, Id, MediaState, Negotiate } from "../engine/api.ts";
import { bus, call, failureOf } from "../state/app.ts";
import { prefer, prefs } from "../state/prefs.ts";
import { addWay, Gathering, iceServers } from "./ice.ts";
import { measure, type Quality, type Counters } from "./quality.ts";

/** The engine takes a call as over after four times this without a word. */
const ALIVE_EVERY_MS = 5_000;
const MEASURE_EVERY_MS = 2_000;

type Source = "camera" | "screen";

export type DeviceKind = "microphone" | "camera" | "speaker";

export class Session {
  call: Id | undefined;
  /** What the other one sends. */
  readonly remote = new MediaStream();
  private speaker: HTMLMediaElement | undefined;
  readonly quality;
  readonly mine;
  /** What the own small picture shows. */
  readonly picture;
  private readonly setMine;
  private readonly setPicture;
  private readonly setQuality;
  private pc: RTCPeerConnection | undefined;
  private readonly local = new MediaStream();
  private round = 0;
  private work: Promise<void> = Promise.resolve();
  private readonly gathering = new Gathering((round, list) => {
    if (this.call) void call("call_candidates", { call: this.call, round, list }).catch(() => undefined);
  });
  private readonly timers: ReturnType<typeof setInterval>[] = [];
  /** What came about calls before it was known which one this is. */
  private readonly early: EngineEvent[] = [];
  private counters: Counters | undefined;
  private state: Call["state"] = "calling";
  private readonly ice: Promise<RTCIceServer[]>;
  private readonly stop: () => void;

  constructor(readonly video: boolean) {
    [this.mine, this.setMine] = createSignal<MediaState>({ muted: false, camera: false, held: false, screen: false });
    [this.picture, this.setPicture] = createSignal<MediaStream>();
    [this.quality, this.setQuality] = createSignal<Quality>();
    this.ice = iceServers();
    this.stop = bus.on((event) => this.heard(event));
    addEventListener("online", this.online);
  }

  /** Asks for microphone and camera. Without a camera a call is a voice call; without a microphone it is none. */
  async prepare(): Promise<void> {
    const audio = { ...chosen("microphone"), echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    const voice = await navigator.mediaDevices.getUserMedia({ audio });
    for (const track of voice.getTracks()) this.local.addTrack(track);
    if (this.video) await this.show("camera").catch(() => undefined);
  }

  begin(id: Id): void {
    this.call = id;
    for (const event of this.early.splice(0)) this.heard(event);
    this.timers.push(
      setInterval(() => this.say("alive"), ALIVE_EVERY_MS),
      setInterval(() => void this.measured(), MEASURE_EVERY_MS),
    );
    if (this.mine().camera !== this.video) this.tell();
  }

  /** It ended before it was known which one it is. */
  get isOver(): boolean {
    return this.state === "ended";
  }

  // --- What the engine wants.

  private heard(event: EngineEvent): void {
    if (event.type !== "call" && event.type !== "call_negotiate") return;
    if (this.call === undefined) {
      this.early.push(event);
      return;
    }
    if (event.type === "call") {
      if (event.replaces === this.call) this.call = event.call;
      if (event.call === this.call) this.state = event.state;
    }
    if (event.type !== "call_negotiate" || event.call !== this.call) return;
    // One after the other: a candidate follows its description.
    this.work = this.work.then(() => this.negotiate(event)).catch((error: unknown) => console.warn(failureOf(error).text));
  }

  private async negotiate(event: Negotiate): Promise<void> {
    const pc = await this.connection();
    switch (event.what) {
      case "offer":
        this.round = event.round;
        if (pc.signalingState === "have-local-offer") await pc.setLocalDescription({ type: "rollback" });
        if (event.round > 0) await lendAnew(pc);
        if (pc.getTransceivers().length === 0)
          for (const kind of ["audio", "video"] as const) {
            const [track] = kind === "audio" ? this.local.getAudioTracks() : this.local.getVideoTracks();
            pc.addTransceiver(track ?? kind, { direction: "sendrecv", streams: [this.local] });
          }
        await pc.setLocalDescription(await pc.createOffer({ iceRestart: event.round > 0 }));
        await this.described(pc, event.round);
        break;
      case "take_offer":
        this.round = event.round;
        if (event.round > 0) await lendAnew(pc);
        await pc.setRemoteDescription({ type: "offer", sdp: event.given });
        for (const transceiver of pc.getTransceivers()) {
          transceiver.direction = "sendrecv";
          transceiver.sender.setStreams(this.local);
          const { kind } = transceiver.receiver.track;
          const [track] = kind === "audio" ? this.local.getAudioTracks() : this.local.getVideoTracks();
          await transceiver.sender.replaceTrack(track ?? null);
        }
        await pc.setLocalDescription(await pc.createAnswer());
        await this.described(pc, event.round);
        break;
      case "take_answer":
        if (event.round === this.round) await pc.setRemoteDescription({ type: "answer", sdp: event.given });
        break;
      case "take_candidates":
        if (event.round !== this.round) break;
        for (const way of event.given) await addWay(pc, way);
        break;
    }
  }

  private async described(pc: RTCPeerConnection, round: number): Promise<void> {
    const sdp = pc.localDescription?.sdp;
    if (sdp && this.call) await call("call_description", { call: this.call, round, sdp });
  }

  private async connection(): Promise<RTCPeerConnection> {
    if (this.pc) return this.pc;
    const pc = new RTCPeerConnection({
      iceServers: await this.ice,
      iceTransportPolicy: prefs.relayOnly ? "relay" : "all",
      bundlePolicy: "max-bundle",
    });
    this.pc = pc;
    pc.ontrack = ({ track }) => this.remote.addTrack(track);
    pc.onicecandidate = ({ candidate }) => {
      if (candidate) this.gathering.add(candidate, this.round);
    };
    pc.onconnectionstatechange = () => {
      if (pc.connectionState === "connected") void this.connected();
      else if (pc.connectionState === "disconnected" || pc.connectionState === "failed") this.say(pc.connectionState);
    };
    return pc;
  }

  /** There is a connection: the engine compares the certificate at its other end with the description. */
  private async connected(): Promise<void> {
    const { pc } = this;
    const shown = pc && certificateOf(await pc.getStats(), pc.currentRemoteDescription?.sdp);
    if (shown) this.say("connected", shown);
  }

  private say(media: "connected" | "alive" | "disconnected" | "failed", fingerprint?: string): void {
    if (this.call) void call("call_media", { call: this.call, media, ...(fingerprint && { fingerprint }) }).catch(() => undefined);
  }

  private readonly online = (): void => {
    if (this.pc && this.pc.connectionState !== "connected") this.say("failed");
  };

  private async measured(): Promise<void> {
    const { pc } = this;
    if (!pc || pc.connectionState !== "connected") return;
    // After a new attempt on a connection that never went, nothing else says that it stands.
    if (this.state !== "connected" && pc.signalingState === "stable") void this.connected();
    const { quality, counters } = measure(await pc.getStats(), this.counters);
    this.counters = counters;
    this.setQuality(quality);
  }

  // --- What the person wants.

  private tell(): void {
    const held = this.mine().held;
    for (const track of this.local.getAudioTracks()) track.enabled = !this.mine().muted && !held;
    for (const track of this.local.getVideoTracks()) track.enabled = !held;
    if (this.call) void call("call_state", { call: this.call, ...this.mine() }).catch(() => undefined);
  }

  mute(muted: boolean): void {
    this.setMine({ ...this.mine(), muted });
    this.tell();
  }

  hold(held: boolean): void {
    this.setMine({ ...this.mine(), held });
    this.tell();
  }

  /** Sends this picture, in the place of the one before. */
  async show(source: Source): Promise<void> {
    const media = navigator.mediaDevices;
    const stream =
      source === "screen"
        ? await media.getDisplayMedia({ video: true })
        : await media.getUserMedia({ video: { ...chosen("camera"), width: { ideal: 1280 }, height: { ideal: 720 } } });
    const [track] = stream.getVideoTracks();
    if (!track) return;
    track.onended = () => void this.hide();
    await this.send("video", track);
    this.setPicture(new MediaStream([track]));
    this.setMine({ ...this.mine(), camera: source === "camera", screen: source === "screen" });
    this.tell();
  }

  /** Sends no picture. */
  async hide(): Promise<void> {
    await this.send("video", undefined);
    this.setPicture(undefined);
    this.setMine({ ...this.mine(), camera: false, screen: false });
    this.tell();
  }

  /** What plays the other one's sound. */
  set sound(element: HTMLMediaElement) {
    this.speaker = element;
    if (prefs.speaker) void element.setSinkId?.(prefs.speaker).catch(() => undefined);
  }

  async choose(kind: DeviceKind, id: string): Promise<void> {
    prefer({ [kind]: id });
    if (kind === "camera" && this.mine().camera) await this.show("camera");
    if (kind === "speaker") await this.speaker?.setSinkId?.(id);
    if (kind === "microphone") {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: chosen("microphone") });
      await this.send("audio", stream.getAudioTracks()[0]);
      this.tell();
    }
  }

  private async send(kind: "audio" | "video", track: MediaStreamTrack | undefined): Promise<void> {
    for (const old of this.local.getTracks()) {
      if (old.kind !== kind || old === track) continue;
      old.onended = null;
      old.stop();
      this.local.removeTrack(old);
    }
    if (track) this.local.addTrack(track);
    const transceiver = this.pc?.getTransceivers().find((one) => one.receiver.track.kind === kind);
    await transceiver?.sender.replaceTrack(track ?? null);
  }

  close(): void {
    this.stop();
    removeEventListener("online", this.online);
    for (const timer of this.timers) clearInterval(timer);
    this.gathering.close();
    if (this.pc) {
      this.pc.onconnectionstatechange = null;
      this.pc.close();
    }
    for (const track of this.local.getTracks()) track.stop();
  }
}

function chosen(kind: "microphone" | "camera"): MediaTrackConstraints {
  return prefs[kind] ? { deviceId: { ideal: prefs[kind] } } : {};
}

/**
 * The fingerprint of the certificate at the other end, as the browser counts it. Firefox does not tell: there it is the one that it
 * was given with the description, beside which it takes no other (RFC 8827, section 6.5).
 */
function certificateOf(stats: RTCStatsReport, given: string | undefined): string | undefined {
  for (const one of stats.values() as Iterable<{ type: string; remoteCertificateId?: string }>) {
    if (one.type !== "transport" || !one.remoteCertificateId) continue;
    const shown = stats.get(one.remoteCertificateId) as { fingerprint: string; fingerprintAlgorithm: string } | undefined;
    return shown && `${shown.fingerprintAlgorithm} ${shown.fingerprint}`;
  }
  return given?.match(/^a=fingerprint:(\S+ \S+)/m)?.[1];
}

/** Another attempt asks for servers anew: a relay that was started again lends at other ports. Without an answer, those of before stay. */
async function lendAnew(pc: RTCPeerConnection): Promise<void> {
  const servers = await iceServers();
  if (servers.length > 0) pc.setConfiguration({ ...pc.getConfiguration(), iceServers: servers });
}
