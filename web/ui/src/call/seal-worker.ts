/** The worker of a group call: every encoded frame passes it, sealed on its way out and opened on its way in (`sframe.ts`). */
import { isKeyFrame, KeyRing, Opener, sealFrame } from "./sframe.ts";
import type { Counts, FromSealing, Passage, ToSealing } from "./sealing.ts";

const keys = new KeyRing();
const counts = new Map<string, Counts>();

function countsOf(device: string): Counts {
  let one = counts.get(device);
  if (!one) {
    one = { sealed: 0, held_back: 0, opened: 0, refused: 0 };
    counts.set(device, one);
  }
  return one;
}

addEventListener("message", ({ data }: MessageEvent<ToSealing>) => {
  if (data.type === "key") keys.add(data, Date.now());
  else postMessage({ counts } satisfies FromSealing);
});

type Frame = RTCEncodedVideoFrame | RTCEncodedAudioFrame;

// A frame is given on sealed, or not at all.
function outwards({ device, kind }: Passage, transformer: RTCRtpScriptTransformer): TransformStream<Frame, Frame> {
  const count = countsOf(device);
  let behind = false;
  return new TransformStream({
    async transform(frame, controller) {
      const sealed = await sealFrame(keys, kind, new Uint8Array(frame.data));
      if (!sealed) {
        behind = true;
        count.held_back += 1;
        return;
      }
      // What is built on pictures that were held back cannot be shown. Chromium lacks this; there the other end asks.
      if (behind && kind === "video") void transformer.generateKeyFrame?.().catch(() => undefined);
      behind = false;
      frame.data = sealed.buffer;
      count.sealed += 1;
      controller.enqueue(frame);
    },
  });
}

function inwards({ device, kind }: Passage, transformer: RTCRtpScriptTransformer): TransformStream<Frame, Frame> {
  const count = countsOf(device);
  const opener = new Opener(keys, device, kind);
  let behind = true;
  return new TransformStream({
    async transform(frame, controller) {
      const opened = await opener.open(new Uint8Array(frame.data), Date.now());
      if (!opened) {
        behind = true;
        count.refused += 1;
        return;
      }
      if (behind && kind === "video" && !isKeyFrame(opened)) void transformer.sendKeyFrameRequest().catch(() => undefined);
      behind = false;
      frame.data = opened.buffer;
      count.opened += 1;
      controller.enqueue(frame);
    },
  });
}

addEventListener("rtctransform", (event) => {
  const { transformer } = event as RTCTransformEvent;
  const passage = transformer.options as Passage;
  const through = passage.way === "out" ? outwards(passage, transformer) : inwards(passage, transformer);
  // It fails when the connection is closed.
  void transformer.readable.pipeThrough(through).pipeTo(transformer.writable).catch(() => undefined);
});
