/**
 * Small pictures of files: made here of what goes out, and shown of what came, before anything of the file itself is fetched.
 *
 * What is made is drawn anew, so nothing is told that a camera wrote beside its picture; whatever cannot be drawn in time goes without.
 * What came is a stranger's. The engine has held it against the limits of `protocol/e2ee/src/file/preview.rs` by its bytes; here it is given
 * to the browser's own decoder as a JPEG and as nothing else.
 */
import { createSignal } from "solid-js";
import type { Message, SmallPicture } from "../engine/api.ts";
import { bus, call } from "../state/app.ts";

/** As `PREVIEW_EDGE_MAX` and `PREVIEW_BYTES_MAX` there. */
const EDGE_MAX = 320;
const BYTES_MAX = 7 * 1024;
/** The longer edge and the quality: what comes first and is small enough. */
const TRIES = [
  [EDGE_MAX, 0.8],
  [EDGE_MAX, 0.6],
  [EDGE_MAX, 0.4],
  [240, 0.5],
  [240, 0.3],
  [160, 0.4],
  [80, 0.4],
] as const;
/** What takes longer to be drawn goes without. */
const MAKING_MS = 8_000;
/** A picture of more bytes or points would hold the page up. */
const PICTURE_BYTES_MAX = 64 * 1024 * 1024;
const POINTS_MAX = 50_000_000;
/** Small pictures that are kept for showing. */
const KEPT_MAX = 400;

const PICTURES = /^image\/(png|jpeg|gif|webp|avif)$/;
const FILMS = /^video\//;

interface Drawable {
  width: number;
  height: number;
  draw: CanvasImageSource;
}

/** The small picture of a file that goes out; nothing where this browser cannot draw one. */
export async function smallOf(file: File): Promise<SmallPicture | undefined> {
  const isFilm = FILMS.test(file.type);
  if (!isFilm && (!PICTURES.test(file.type) || file.size > PICTURE_BYTES_MAX)) return undefined;
  const url = URL.createObjectURL(file);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), MAKING_MS);
  try {
    const whole = await (isFilm ? frameOf(url, late.signal) : pictureOf(url, late.signal));
    return whole && !late.signal.aborted ? await drawn(whole) : undefined;
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
    URL.revokeObjectURL(url);
  }
}

/** Resolves with what `begin` tells, or fails when it is late. */
function inTime<T>(late: AbortSignal, begin: (done: (what: T) => void, fail: (why: unknown) => void) => void): Promise<T> {
  return new Promise((done, fail) => {
    late.addEventListener("abort", () => fail(late.reason), { once: true });
    begin(done, fail);
  });
}

/** As its camera says that it is to be turned. */
async function pictureOf(url: string, late: AbortSignal): Promise<Drawable | undefined> {
  const image = new Image();
  await inTime<unknown>(late, (done, fail) => {
    image.onload = done;
    image.onerror = fail;
    image.src = url;
  });
  const { naturalWidth: width, naturalHeight: height } = image;
  return width * height > POINTS_MAX ? undefined : { width, height, draw: image };
}

/** A frame from near the beginning: the very first one is often black. */
async function frameOf(url: string, late: AbortSignal): Promise<Drawable | undefined> {
  const film = document.createElement("video");
  film.muted = true;
  film.preload = "auto";
  film.playsInline = true;
  try {
    await inTime<unknown>(late, (done, fail) => {
      film.onerror = fail;
      film.onloadeddata = done;
      film.src = url;
    });
    if (Number.isFinite(film.duration) && film.duration > 0)
      await inTime<unknown>(late, (done, fail) => {
        film.onerror = fail;
        film.onseeked = done;
        film.currentTime = Math.min(1, film.duration / 10);
      });
    const { videoWidth: width, videoHeight: height } = film;
    return { width, height, draw: await createImageBitmap(film) };
  } finally {
    film.removeAttribute("src");
    film.load();
  }
}

async function drawn({ width, height, draw }: Drawable): Promise<SmallPicture | undefined> {
  if (width < 1 || height < 1) return undefined;
  const canvas = document.createElement("canvas");
  for (const [edge, quality] of TRIES) {
    const scale = Math.min(1, edge / Math.max(width, height));
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    const brush = canvas.getContext("2d");
    if (!brush) return undefined;
    // What shows through is white, as paper.
    brush.fillStyle = "#fff";
    brush.fillRect(0, 0, canvas.width, canvas.height);
    brush.imageSmoothingQuality = "high";
    brush.drawImage(draw, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/jpeg", quality));
    if (blob?.type !== "image/jpeg") return undefined;
    if (blob.size <= BYTES_MAX) return { width, height, jpeg: new Uint8Array(await blob.arrayBuffer()).toHex() };
  }
  return undefined;
}

/** By conversation and place; empty while it is fetched, and where it is none. */
const [seen, setSeen] = createSignal<ReadonlyMap<string, string>>(new Map());

bus.on((event) => {
  // Whoever signed out leaves nothing.
  if (event.type === "state" && event.state.phase === "empty") {
    for (const url of seen().values()) URL.revokeObjectURL(url);
    setSeen(new Map());
  }
});

/** Where the small picture of a message is; nothing until it is there. */
export function seenOf({ conversation, sequence }: Message): string | undefined {
  return seen().get(`${conversation}/${sequence}`);
}

/** Makes the small picture of a message ready to be shown. */
export function look({ conversation, sequence }: Message): void {
  const place = `${conversation}/${sequence}`;
  if (seen().has(place)) return;
  keep(place, "");
  call("preview", { conversation, sequence }).then(
    ({ jpeg }) => {
      const bytes = jpeg === null ? undefined : Uint8Array.fromHex(jpeg);
      if (bytes?.[0] === 0xff && bytes[1] === 0xd8) keep(place, URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" })));
    },
    // The engine is gone: so is what would show it.
    () => undefined,
  );
}

function keep(place: string, url: string): void {
  const kept = new Map(seen());
  kept.set(place, url);
  for (const [old, one] of kept) {
    if (kept.size <= KEPT_MAX) break;
    URL.revokeObjectURL(one);
    kept.delete(old);
  }
  setSeen(kept);
}
