/** What tests of files do again and again: attach, send, save, and hold the line. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BrowserContext, type Locator, test } from "@playwright/test";
import { chosenPlaces, hashOf, savedHash } from "./disk.ts";
import { expect, type Person } from "./support.ts";

type Given = string | { name: string; mimeType: string; buffer: Buffer };

/** A file of the disk, as people have them: bytes alone go to the browser as text first, three seconds of a core for 20 MiB. */
export function bin(name: string, bytes: Buffer): string {
  const { outputDir } = test.info();
  mkdirSync(outputDir, { recursive: true });
  const path = join(mkdtempSync(join(outputDir, "file-")), name);
  writeFileSync(path, bytes);
  return path;
}

/** Chooses files with the button of the composer. */
export async function choose(who: Person, ...files: Given[]): Promise<void> {
  const chooser = who.page.waitForEvent("filechooser");
  await who.page.getByRole("button", { name: "Attach files" }).click();
  await (await chooser).setFiles(files as never);
  await expect(attached(who)).toHaveCount(files.length);
}

export const attached = (who: Person): Locator => who.page.locator(".tray.attached .tray-row");
export const going = (who: Person): Locator => who.page.locator(".tray:not(.attached) .tray-row");
export const card = (who: Person, name: string): Locator => who.page.locator(".file").filter({ hasText: name });
export const trouble = (of: Locator): Locator => of.locator(".file-failure");

export async function sends(who: Person, ...files: Given[]): Promise<void> {
  await choose(who, ...files);
  await who.page.getByRole("button", { name: "Send", exact: true }).click();
  await expect(attached(who)).toHaveCount(0);
}

export async function saves(who: Person, name: string): Promise<void> {
  await card(who, name).getByRole("button", { name: `Save ${name}` }).click();
}

export async function saved(who: Person, name: string, bytes: Buffer): Promise<void> {
  await expect(card(who, name)).toContainText("Saved");
  expect(await savedHash(who.page, name)).toBe(hashOf(bytes));
}

/** Chunks that lie in the page's private files. */
export function kept(who: Person): Promise<number> {
  return who.page.evaluate(async () => {
    let count = 0;
    try {
      const shelves = await (await navigator.storage.getDirectory()).getDirectoryHandle("sotto-files");
      for await (const shelf of shelves.values())
        for await (const name of (shelf as FileSystemDirectoryHandle).keys()) count += Number(/^\d+$/.test(name));
    } catch {
      // There are none.
    }
    return count;
  });
}

/** Two people who write to each other; what either saves goes to a place that was chosen. */
export async function two(somebody: (name: string) => Promise<Person>): Promise<[Person, Person]> {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  for (const one of [anna, bert]) {
    await chosenPlaces(one.context);
    await one.page.reload();
    await one.connected();
  }
  await anna.writeTo("bert");
  await anna.say("Hello Bert");
  await bert.open("anna");
  await bert.sees("Hello Bert");
  return [anna, bert];
}

/** Whoever hides has nothing but the relay. */
export async function hides(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => localStorage.setItem("sotto.prefs", JSON.stringify({ relayOnly: true })));
}

interface Held {
  /** With the first that is held. */
  reached: Promise<void>;
  /** `pace`: each takes so many milliseconds from now on. */
  release: (pace?: number) => Promise<void>;
}

/** Holds chunks back from the given one on, as a slow line does. */
export async function held(who: Person, method: "GET" | "PUT", from: number): Promise<Held> {
  let reach!: () => void;
  let free!: () => void;
  const reached = new Promise<void>((resolve) => (reach = resolve));
  const released = new Promise<void>((resolve) => (free = resolve));
  const chunks = /\/chunks\/\d+$/;
  let [seen, slow] = [0, 0];
  await who.context.route(chunks, async (route) => {
    if (route.request().method() !== method) return route.continue();
    seen += 1;
    if (seen > from) {
      reach();
      await released;
      await new Promise((resolve) => setTimeout(resolve, slow));
    }
    await route.continue().catch(() => undefined);
  });
  const release = async (pace = 0): Promise<void> => {
    slow = pace;
    free();
    if (pace === 0) await who.context.unroute(chunks);
  };
  return { reached, release };
}
