/** Seals and opens what passes the connections of a group call: starts the worker for it and puts it between. */
import type { GroupKey, Id } from "../engine/api.ts";
import { scriptUrl } from "../trusted.ts";
import type { Epoch } from "./sframe.ts";
import workerUrl from "./seal-worker.ts?worker&url";

/** Which frames a transform has. */
export interface Passage {
  device: Id;
  way: "in" | "out";
  kind: string;
}

/** What became of the frames to and from a device. */
export interface Counts {
  sealed: number;
  /** There was no key yet. */
  held_back: number;
  opened: number;
  refused: number;
}

export type ToSealing = ({ type: "key" } & Epoch) | { type: "count" };
export interface FromSealing {
  counts: ReadonlyMap<Id, Counts>;
}

/** What depacketizers here leave readable is known for these only. */
const CODECS: Record<string, readonly string[]> = { audio: ["audio/opus"], video: ["video/vp8", "video/rtx"] };

export class Sealing {
  private readonly worker = new Worker(scriptUrl(workerUrl), { type: "module", name: "sotto-sealing" });
  private readonly prepared = new WeakSet<RTCRtpTransceiver>();

  /** `failed`: nothing can be sealed, so nothing is sent. */
  constructor(counted: (counts: ReadonlyMap<Id, Counts>) => void, failed: () => void) {
    this.worker.onmessage = ({ data }: MessageEvent<FromSealing>) => counted(data.counts);
    this.worker.onerror = failed;
  }

  private tell(said: ToSealing): void {
    this.worker.postMessage(said);
  }

  take({ epoch, base_key, context, mine, senders }: GroupKey): void {
    const places = new Map(senders.map(({ device, index }) => [device, index]));
    this.tell({ type: "key", epoch, baseKey: Uint8Array.fromHex(base_key), context, mine, senders: places });
  }

  /** Asks what became of the frames. */
  count(): void {
    this.tell({ type: "count" });
  }

  /** Before anything flows: the sender first, both in one go, lest something pass that is not sealed. */
  prepare(transceiver: RTCRtpTransceiver, device: Id): void {
    if (this.prepared.has(transceiver)) return;
    this.prepared.add(transceiver);
    const { sender, receiver } = transceiver;
    const { kind } = receiver.track;
    const passage = (way: Passage["way"]) => new RTCRtpScriptTransform(this.worker, { device, way, kind } satisfies Passage);
    sender.transform = passage("out");
    receiver.transform = passage("in");
    const known = RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [];
    transceiver.setCodecPreferences(known.filter((codec) => CODECS[kind]?.includes(codec.mimeType.toLowerCase())));
  }

  close(): void {
    this.worker.terminate();
  }
}
