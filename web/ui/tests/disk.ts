/** Files of tests, and what becomes of them in a page. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import type { BrowserContext, Page } from "@playwright/test";

export const MIB = 1024 * 1024;

export const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Bytes that look like nothing, the same for the same seed. */
export function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(Math.floor(length));
  let state = seed >>> 0 || 1;
  for (let at = 0; at < bytes.length; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** A folder that is gone when the work is done. */
export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "sotto-web-files-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A PNG: a plain sky over plain hills. */
export function png(width: number, height: number): Buffer {
  const rows = Buffer.alloc((width * 3 + 1) * height);
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) {
      const hill = y > height * 0.62 + Math.sin(x / (width / 9)) * height * 0.08;
      const at = y * (width * 3 + 1) + 1 + x * 3;
      rows.set(hill ? [62, 116 + (y % 8), 92] : [150 + (y * 60) / height, 190 + (y * 30) / height, 222], at);
    }
  const chunk = (kind: string, body: Buffer): Buffer => {
    const named = Buffer.concat([Buffer.from(kind, "latin1"), body]);
    const ends = [Buffer.alloc(4), Buffer.alloc(4)] as const;
    ends[0].writeUInt32BE(body.length);
    ends[1].writeUInt32BE(crc32(named));
    return Buffer.concat([ends[0], named, ends[1]]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", head),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/**
 * Nobody can press a button in the system's own window for choosing a place, so the page is given one that was chosen: a real file
 * of the browser's private file system, into which it writes by the same interface.
 */
export async function chosenPlaces(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    Object.assign(window, {
      showSaveFilePicker: async ({ suggestedName }: { suggestedName: string }) => {
        const root = await navigator.storage.getDirectory();
        const folder = await root.getDirectoryHandle("chosen", { create: true });
        return folder.getFileHandle(suggestedName, { create: true });
      },
    });
  });
}

/** As a browser that cannot write to the disk piece by piece. */
export async function noPlaces(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => Object.assign(window, { showSaveFilePicker: undefined }));
}

/** The hash of a file that was saved so; nothing where there is none. */
export function savedHash(page: Page, name: string): Promise<string | undefined> {
  return page.evaluate(async (name) => {
    try {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("chosen");
      const file = await (await folder.getFileHandle(name)).getFile();
      const hash = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
      return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    } catch {
      return undefined;
    }
  }, name);
}
