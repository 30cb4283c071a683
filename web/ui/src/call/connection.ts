/**
 * The media of a call between this device and another one. What is said to it, and when, the engine decides; this carries it out on an
 * `RTCPeerConnection` and says how it went. Sound and picture have one section each from the start, so that a camera that goes on
 * or off changes a track and needs no new description.
 */
import { createSignal } from "solid-js";
import type { Step, Way } from "../engine/api.ts";
import { failureOf } from "../state/app.ts";
import { prefs } from "../state/prefs.ts";
import { addWay, Gathering, iceServers } from "./ice.ts";
import type { Local, TrackKind } from "./local.ts";
import { measure, type Counters, type Quality } from "./quality.ts";
import { withoutStrays } from "./sdp.ts";

export type Media = "connected" | "disconnected" | "failed";

/** What a connection says to the engine. */
export interface Wire {
  description(round: number, sdp: string): Promise<unknown>;
  candidates(round: number, list: Way[]): void;
  /** `fingerprint`, with `connected`: of the certificate at the other end. */
  media(media: Media, fingerprint?: string): void;
}

interface Settings {
  wire: Wire;
  local: Local;
  ice: Promise<RTCIceServer[]>;
  /** Comes to each section of sound or picture before anything flows in it, and may come again. */
  prepare?: (transceiver: RTCRtpTransceiver) => void;
}

const KINDS: readonly TrackKind[] = ["audio", "video"];

export class Connection {
  /** What the other one sends. */
  readonly remote = new MediaStream();
  readonly quality;
  private readonly setQuality;
  private pc: RTCPeerConnection | undefined;
  private round = 0;
  private work: Promise<void> = Promise.resolve();
  private readonly gathering;
  private counters: Counters | undefined;
  private isClosed = false;

  constructor(private readonly settings: Settings) {
    [this.quality, this.setQuality] = createSignal<Quality>();
    this.gathering = new Gathering((round, list) => settings.wire.candidates(round, list));
    addEventListener("online", this.online);
  }

  /** One after the other: a candidate follows its description. */
  take(step: Step): void {
    this.work = this.work.then(() => this.negotiate(step)).catch((error: unknown) => console.warn(failureOf(error).text));
  }

  private async negotiate(step: Step): Promise<void> {
    const pc = await this.connection();
    if (!pc) return;
    const { local } = this.settings;
    switch (step.what) {
      case "offer":
        this.round = step.round;
        if (pc.signalingState === "have-local-offer") await pc.setLocalDescription({ type: "rollback" });
        if (step.round > 0) await lendAnew(pc);
        if (pc.getTransceivers().length === 0)
          for (const kind of KINDS) {
            const transceiver = pc.addTransceiver(kind, { direction: "sendrecv", streams: [local.stream] });
            this.settings.prepare?.(transceiver);
            await transceiver.sender.replaceTrack(local.track(kind));
          }
        await pc.setLocalDescription(await pc.createOffer({ iceRestart: step.round > 0 }));
        await this.described(pc);
        break;
      case "take_offer":
        this.round = step.round;
        if (step.round > 0) await lendAnew(pc);
        await pc.setRemoteDescription({ type: "offer", sdp: step.given });
        for (const transceiver of pc.getTransceivers()) {
          this.settings.prepare?.(transceiver);
          transceiver.direction = "sendrecv";
          transceiver.sender.setStreams(local.stream);
          await transceiver.sender.replaceTrack(local.track(transceiver.receiver.track.kind as TrackKind));
        }
        await pc.setLocalDescription(await pc.createAnswer());
        await this.described(pc);
        break;
      case "take_answer":
        if (step.round === this.round) await pc.setRemoteDescription({ type: "answer", sdp: step.given });
        break;
      case "take_candidates":
        if (step.round !== this.round) break;
        for (const way of step.given) await addWay(pc, way);
        break;
    }
  }

  private async described(pc: RTCPeerConnection): Promise<void> {
    const sdp = pc.localDescription?.sdp;
    if (sdp) await this.settings.wire.description(this.round, withoutStrays(sdp));
  }

  private async connection(): Promise<RTCPeerConnection | undefined> {
    const servers = await this.settings.ice;
    if (this.pc || this.isClosed) return this.pc;
    const pc = new RTCPeerConnection({
      iceServers: servers,
      iceTransportPolicy: prefs.relayOnly ? "relay" : "all",
      bundlePolicy: "max-bundle",
    });
    this.pc = pc;
    pc.ontrack = ({ track, transceiver }) => {
      this.settings.prepare?.(transceiver);
      this.remote.addTrack(track);
    };
    pc.onicecandidate = ({ candidate }) => {
      if (candidate) this.gathering.add(candidate, this.round);
    };
    pc.onconnectionstatechange = () => {
      if (pc.connectionState === "connected") void this.connected();
      else if (pc.connectionState === "disconnected" || pc.connectionState === "failed") this.settings.wire.media(pc.connectionState);
    };
    return pc;
  }

  /** There is a connection: the engine compares the certificate at its other end with the description. */
  private async connected(): Promise<void> {
    const { pc } = this;
    const shown = pc && certificateOf(await pc.getStats(), pc.currentRemoteDescription?.sdp);
    if (shown) this.settings.wire.media("connected", shown);
  }

  private readonly online = (): void => {
    if (this.pc && this.pc.connectionState !== "connected") this.settings.wire.media("failed");
  };

  /** Looks how good it is. `known`: the engine was told that it stands. */
  async measured(known: boolean): Promise<void> {
    const { pc } = this;
    if (!pc || pc.connectionState !== "connected") return;
    // After a new attempt on a connection that never went, nothing else says that it stands.
    if (!known && pc.signalingState === "stable") void this.connected();
    const { quality, counters } = measure(await pc.getStats(), this.counters);
    this.counters = counters;
    this.setQuality(quality);
  }

  private sender(kind: TrackKind): RTCRtpSender | undefined {
    return this.pc?.getTransceivers().find((one) => one.receiver.track.kind === kind)?.sender;
  }

  async send(kind: TrackKind, track: MediaStreamTrack | null): Promise<void> {
    await this.sender(kind)?.replaceTrack(track);
  }

  /** At most so many bits a second of picture, of at most so many lines. */
  async limit(bitrate: number, lines: number): Promise<void> {
    const sender = this.sender("video");
    const parameters = sender?.getParameters();
    const [encoding] = parameters?.encodings ?? [];
    if (!sender || !parameters || !encoding) return;
    const scaleResolutionDownBy = Math.max(1, (sender.track?.getSettings().height ?? lines) / lines);
    if (encoding.maxBitrate === bitrate && encoding.scaleResolutionDownBy === scaleResolutionDownBy) return;
    Object.assign(encoding, { maxBitrate: bitrate, scaleResolutionDownBy });
    await sender.setParameters(parameters);
  }

  close(): void {
    this.isClosed = true;
    removeEventListener("online", this.online);
    this.gathering.close();
    if (this.pc) {
      this.pc.onconnectionstatechange = null;
      this.pc.close();
    }
  }
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
