/** Sound and picture for calls: a tone and a colour that the fake devices of Chromium send, and what of them arrives. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, type Page } from "@playwright/test";
import { CHROMIUM } from "./drive.mjs";

export const TONE_HZ = 440;
interface Colour {
  red: number;
  green: number;
  blue: number;
}

/** A red that no part of the interface has. */
export const COLOUR: Colour = { red: 200, green: 40, blue: 40 };

/** A page of whichever browser. */
interface Evaluates {
  evaluate<T>(work: (where: string) => T | Promise<T>, where: string): Promise<T>;
}

/** What plays the other end of a call of two. */
const OTHER = ".call-remote";

/** What plays somebody in a call of a group. */
export const tileOf = (name: string): string => `[aria-label="Picture of ${name}"]`;

const RATE = 48_000;
const folder = mkdtempSync(join(tmpdir(), "sotto-web-media-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/** A file with most of a second of a tone and a short pause, so that no filter takes it for noise. */
export function tone(hertz: number): string {
  const samples = new Int16Array(RATE);
  for (let at = 0; at < samples.length; at += 1)
    samples[at] = at % RATE < 0.8 * RATE ? 12_000 * Math.sin((2 * Math.PI * hertz * at) / RATE) : 0;
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + samples.byteLength, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(RATE, 24);
  head.writeUInt32LE(RATE * 2, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36);
  head.writeUInt32LE(samples.byteLength, 40);
  const path = join(folder, `tone-${hertz}.wav`);
  writeFileSync(path, Buffer.concat([head, Buffer.from(samples.buffer)]));
  return path;
}

/** A file with frames of one colour, by the equations of BT.601. */
export function picture({ red, green, blue }: Colour): string {
  const [width, height] = [320, 240];
  const luma = Math.round(0.257 * red + 0.504 * green + 0.098 * blue + 16);
  const cb = Math.round(-0.148 * red - 0.291 * green + 0.439 * blue + 128);
  const cr = Math.round(0.439 * red - 0.368 * green - 0.071 * blue + 128);
  const quarter = (width * height) / 4;
  const frame = Buffer.concat([
    Buffer.from("FRAME\n"),
    Buffer.alloc(width * height, luma),
    Buffer.alloc(quarter, cb),
    Buffer.alloc(quarter, cr),
  ]);
  const path = join(folder, `colour-${red}-${green}-${blue}.y4m`);
  writeFileSync(path, Buffer.concat([Buffer.from(`YUV4MPEG2 W${width} H${height} F20:1 Ip A1:1 C420jpeg\n`), ...Array<Buffer>(10).fill(frame)]));
  return path;
}

/** Chromium with a microphone and a camera that send these. */
export const WITH_DEVICES = {
  ...CHROMIUM,
  args: [
    ...CHROMIUM.args,
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    // A relay of a test vouches for itself, and TURN inside TLS asks for an authority.
    "--ignore-certificate-errors",
    `--use-file-for-fake-audio-capture=${tone(TONE_HZ)}`,
    `--use-file-for-fake-video-capture=${picture(COLOUR)}`,
  ],
};

/** The loudest frequency of what comes from the other end, in hertz; 0 where nothing is to be heard. */
export function heard(page: Evaluates, from = OTHER): Promise<number> {
  return page.evaluate(async (from) => {
    const stream = document.querySelector<HTMLVideoElement>(from)?.srcObject as MediaStream | null;
    if (!stream?.getAudioTracks().length) return 0;
    const context = new AudioContext();
    await context.resume();
    const analyser = context.createAnalyser();
    analyser.fftSize = 16_384;
    analyser.smoothingTimeConstant = 0;
    context.createMediaStreamSource(stream).connect(analyser);
    const levels = new Float32Array(analyser.frequencyBinCount);
    let loudest = 0;
    for (let tries = 0; tries < 20 && loudest === 0; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      analyser.getFloatFrequencyData(levels);
      const peak = levels.indexOf(Math.max(...levels));
      if ((levels[peak] ?? -200) > -50) loudest = (peak * context.sampleRate) / analyser.fftSize;
    }
    await context.close();
    return Math.round(loudest);
  }, from);
}

/** The median length of the waves of samples of 16 bits, as a frequency; 0 where there are none. */
function frequency(samples: Int16Array, rate: number): number {
  const loud = 650;
  const waves: number[] = [];
  let [below, last] = [false, 0];
  samples.forEach((level, at) => {
    if (level < -loud) below = true;
    if (!below || level < loud) return;
    if (last) waves.push(at - last);
    [below, last] = [false, at];
  });
  const median = waves.sort((one, other) => one - other)[Math.floor(waves.length / 2)];
  return median ? Math.round(rate / median) : 0;
}

/** The same for a browser that plays nothing because the machine has no loudspeaker: a second of it is recorded. */
export async function recorded(page: Evaluates, from = OTHER): Promise<number> {
  const levels = await page.evaluate(async (from) => {
    const stream = document.querySelector<HTMLVideoElement>(from)?.srcObject as MediaStream | null;
    if (!stream?.getAudioTracks().length) return "";
    const recorder = new MediaRecorder(new MediaStream(stream.getAudioTracks()));
    const parts: Blob[] = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    const stopped = new Promise((resolve) => (recorder.onstop = resolve));
    recorder.start();
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    recorder.stop();
    await stopped;
    const rate = 48_000;
    const sound = await new OfflineAudioContext(1, rate, rate).decodeAudioData(await new Blob(parts).arrayBuffer());
    return Array.from(sound.getChannelData(0), (level) => Math.round(level * 32_767)).join(" ");
  }, from);
  return frequency(Int16Array.from(levels.split(" "), Number), RATE);
}

/** The same of what a node wrote into a file: one channel of 16 bits. */
export function written(path: string): number {
  const file = readFileSync(path);
  const sound = file.subarray(file.indexOf("data") + 8);
  const samples = Int16Array.from({ length: Math.floor(sound.length / 2) }, (_, at) => sound.readInt16LE(2 * at));
  return frequency(samples, file.readUInt32LE(24));
}

/** The colour in the middle of the picture that comes from the other end. */
function seen(page: Evaluates, from: string): Promise<number[]> {
  return page.evaluate((from) => {
    const video = document.querySelector<HTMLVideoElement>(from);
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [16, 16];
    const drawing = canvas.getContext("2d");
    if (!video?.videoWidth || !drawing) return [];
    drawing.drawImage(video, 0, 0, 16, 16);
    return [...drawing.getImageData(8, 8, 1, 1).data.slice(0, 3)];
  }, from);
}

/** The tone of the other one's microphone arrives. */
export async function hears(page: Evaluates, listen = heard, tone = TONE_HZ, from = OTHER): Promise<void> {
  await expect.poll(async () => Math.abs((await listen(page, from)) - tone), { timeout: 30_000 }).toBeLessThan(8);
}

/** The same of the last picture that a node recorded, by the page's own decoder; nothing where there is less than a second. */
async function filmed(page: Page, path: string): Promise<number[]> {
  const file = readFileSync(path);
  const frames: string[] = [];
  for (let [at, end] = [32, 0]; at + 12 <= file.length; at = end) {
    end = at + 12 + file.readUInt32LE(at);
    if (end > file.length) break;
    frames.push(file.subarray(at + 12, end).toString("base64"));
  }
  if (frames.length < 15) return [];
  return page.evaluate(async (frames) => {
    const drawing = new OffscreenCanvas(16, 16).getContext("2d");
    const decoder = new VideoDecoder({
      output: (picture) => {
        drawing?.drawImage(picture, 0, 0, 16, 16);
        picture.close();
      },
      error: (error) => console.error(error.message),
    });
    decoder.configure({ codec: "vp8" });
    for (const [at, frame] of frames.entries()) {
      const data = Uint8Array.from(atob(frame), (byte) => byte.charCodeAt(0));
      const type = (data[0] ?? 1) % 2 === 0 ? "key" : "delta";
      decoder.decode(new EncodedVideoChunk({ type, timestamp: at * 66_000, data }));
    }
    await decoder.flush();
    return [...(drawing?.getImageData(8, 8, 1, 1).data.slice(0, 3) ?? [])];
  }, frames);
}

function far([red = 0, green = 0, blue = 0]: number[], colour: Colour): number {
  return Math.max(Math.abs(red - colour.red), Math.abs(green - colour.green), Math.abs(blue - colour.blue));
}

/** How far the picture that arrives is from a colour: that of the cameras here. */
export async function difference(page: Evaluates, colour = COLOUR, from = OTHER): Promise<number> {
  return far(await seen(page, from), colour);
}

/** The picture of the other one's camera arrives. */
export async function sees(page: Evaluates, colour = COLOUR, from = OTHER): Promise<void> {
  await expect.poll(() => difference(page, colour, from), { timeout: 30_000 }).toBeLessThan(45);
}

/** A node's recording has the picture of the camera here. */
export async function isFilmed(page: Page, path: string): Promise<void> {
  await expect.poll(async () => far(await filmed(page, path), COLOUR), { timeout: 30_000 }).toBeLessThan(45);
}
