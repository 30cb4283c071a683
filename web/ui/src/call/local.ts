/** What this device gives to a call: the microphone, and a camera or a screen; and which devices of the machine it takes. */
import { createSignal } from "solid-js";
import type { MediaState } from "../engine/api.ts";
import { prefer, prefs } from "../state/prefs.ts";

type Source = "camera" | "screen";

export type DeviceKind = "microphone" | "camera" | "speaker";

export type TrackKind = "audio" | "video";

/** Who carries it to the other ends. */
interface Carrier {
  send(kind: TrackKind, track: MediaStreamTrack | null): Promise<void>;
  tell(mine: MediaState): void;
}

export class Local {
  readonly stream = new MediaStream();
  readonly mine;
  /** What the own small picture shows. */
  readonly picture;
  private readonly setMine;
  private readonly setPicture;
  private readonly players = new Set<HTMLMediaElement>();

  constructor(private readonly carrier: Carrier) {
    [this.mine, this.setMine] = createSignal<MediaState>({ muted: false, camera: false, held: false, screen: false });
    [this.picture, this.setPicture] = createSignal<MediaStream>();
  }

  /** Asks for microphone and camera. Without a camera a call is a voice call; without a microphone it is none. */
  async prepare(video: boolean): Promise<void> {
    const audio = { ...chosen("microphone"), echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    const voice = await navigator.mediaDevices.getUserMedia({ audio });
    for (const track of voice.getTracks()) this.stream.addTrack(track);
    if (video) await this.show("camera").catch(() => undefined);
  }

  track(kind: TrackKind): MediaStreamTrack | null {
    return this.stream.getTracks().find((track) => track.kind === kind) ?? null;
  }

  /** Says how it stands. */
  tell(): void {
    const { muted, held } = this.mine();
    for (const track of this.stream.getAudioTracks()) track.enabled = !muted && !held;
    for (const track of this.stream.getVideoTracks()) track.enabled = !held;
    this.carrier.tell(this.mine());
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
    await this.take("video", track);
    this.setPicture(new MediaStream([track]));
    this.setMine({ ...this.mine(), camera: source === "camera", screen: source === "screen" });
    this.tell();
  }

  /** Sends no picture. */
  async hide(): Promise<void> {
    await this.take("video", null);
    this.setPicture(undefined);
    this.setMine({ ...this.mine(), camera: false, screen: false });
    this.tell();
  }

  /** This element plays sound of others. */
  playedBy(element: HTMLMediaElement): () => void {
    this.players.add(element);
    if (prefs.speaker) void element.setSinkId?.(prefs.speaker).catch(() => undefined);
    return () => this.players.delete(element);
  }

  async choose(kind: DeviceKind, id: string): Promise<void> {
    prefer({ [kind]: id });
    if (kind === "camera" && this.mine().camera) await this.show("camera");
    if (kind === "speaker") await Promise.all([...this.players].map((player) => player.setSinkId?.(id)));
    if (kind === "microphone") {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: chosen("microphone") });
      await this.take("audio", stream.getAudioTracks()[0] ?? null);
      this.tell();
    }
  }

  private async take(kind: TrackKind, track: MediaStreamTrack | null): Promise<void> {
    for (const old of this.stream.getTracks()) {
      if (old.kind !== kind || old === track) continue;
      old.onended = null;
      old.stop();
      this.stream.removeTrack(old);
    }
    if (track) this.stream.addTrack(track);
    await this.carrier.send(kind, track);
  }

  close(): void {
    for (const track of this.stream.getTracks()) track.stop();
  }
}

function chosen(kind: "microphone" | "camera"): MediaTrackConstraints {
  return prefs[kind] ? { deviceId: { ideal: prefs[kind] } } : {};
}
