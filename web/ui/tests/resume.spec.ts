/** Files go on after the page was closed, or its browser killed: with what is there already, and with nothing of them to be read on the disk. */
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium } from "@playwright/test";
import { attached, bin, card, choose, going, held, hides, kept, saved, saves, sends, two } from "./attach.ts";
import { chosenPlaces, hashOf, MIB, noise, noPlaces, png } from "./disk.ts";
import { CHROMIUM, PAGE } from "./drive.mjs";
import type { Relay } from "./relay.ts";
import { expect, Person, register, test } from "./support.ts";

const FILM = "film.bin";

/** Chunks that the relay was given, or gave. */
async function moved(relay: Relay, direction: "in" | "out"): Promise<number> {
  const said = await (await fetch(`${relay.url}metrics`)).text();
  return Number(new RegExp(`^sotto_file_chunks_total\\{direction="${direction}"\\} (\\d+)$`, "m").exec(said)?.[1] ?? 0);
}

/** The chunks that a browser asks the relay for from now on. */
function asked(context: BrowserContext): number[] {
  const chunks: number[] = [];
  context.on("request", (request) => {
    const chunk = /\/chunks\/(\d+)$/.exec(request.url())?.[1];
    if (chunk !== undefined) chunks.push(Number(chunk));
  });
  return chunks;
}

/** The same person in another page. */
async function opened(context: BrowserContext, { name, relay }: Person): Promise<Person> {
  const person = new Person(name, context, context.pages()[0] ?? (await context.newPage()), relay);
  await person.page.goto(relay.url);
  await person.connected();
  return person;
}

/** The page is closed, without a question, and opened again. */
async function again(who: Person): Promise<Person> {
  await who.page.close();
  expect(who.faults).toEqual([]);
  return opened(who.context, who);
}

/** As when the power of a laptop is gone: no handler runs, nothing is put in order. */
async function kill(context: BrowserContext, profile: string): Promise<void> {
  const gone = new Promise((resolve) => context.once("close", resolve));
  process.kill(Number(readlinkSync(join(profile, "SingletonLock")).split("-").at(-1)), "SIGKILL");
  await gone;
}

/** What is there: a browser that runs deletes files of its own meanwhile. */
function readOr(path: string, none: Buffer): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return none;
    throw error;
  }
}

function holds(folder: string, text: string): string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map((entry) => join(entry.parentPath, entry.name)).filter((path) => readOr(path, Buffer.of()).includes(text));
}

test("a download goes on when its browser was killed and when its page was closed, fetches hardly a chunk twice, and leaves nothing readable", async ({
  relay,
  somebody,
}) => {
  const profile = mkdtempSync(join(tmpdir(), "sotto-web-profile-"));
  const launch = async (): Promise<BrowserContext> => {
    const context = await chromium.launchPersistentContext(profile, { ...CHROMIUM, ...PAGE });
    context.setDefaultTimeout(20_000);
    await hides(context);
    return context;
  };
  const anna = await somebody("anna");
  let context = await launch();
  try {
    await noPlaces(context);
    let bert = new Person("bert", context, context.pages()[0] ?? (await context.newPage()), relay);
    await bert.page.goto(relay.url);
    await register(bert);
    await anna.writeTo("bert");
    const secret = "the heron stands on one leg. ";
    const film = Buffer.alloc(12 * MIB + 5, secret);
    await sends(anna, bin(FILM, film));
    await bert.open("anna");
    await expect(card(bert, FILM)).toBeVisible({ timeout: 60_000 });
    const line = await held(bert, "GET", 5);
    await saves(bert, FILM);
    await line.reached;
    await expect.poll(() => kept(bert)).toBe(5);
    await kill(context, profile);
    expect(holds(profile, secret)).toEqual([]);
    expect(holds(profile, FILM)).toEqual([]);

    context = await launch();
    await chosenPlaces(context);
    const slow = await held({ context } as Person, "GET", 3);
    const second = asked(context);
    bert = await opened(context, bert);
    // It goes on by itself; the conversation shows how far it is.
    await slow.reached;
    await bert.open("anna");
    await expect.poll(() => kept(bert)).toBe(8);
    await expect(card(bert, FILM)).toContainText("8.4 MB of 13 MB");
    await bert.page.getByRole("button", { name: "Pause" }).click();
    await expect(card(bert, FILM)).toContainText("Paused");
    bert = await again(bert);
    await slow.release();
    await bert.open("anna");
    await expect(card(bert, FILM)).toContainText("Paused");
    expect(await kept(bert)).toBe(8);
    const third = asked(context);
    await bert.page.getByRole("button", { name: "Go on" }).click();
    await expect(card(bert, FILM)).toContainText("All of it is here");
    expect(second.every((chunk) => chunk >= 5), `asked for ${second}`).toBe(true);
    expect(third.sort((one, other) => one - other)).toEqual([8, 9, 10, 11, 12]);
    expect(holds(profile, secret)).toEqual([]);
    await saves(bert, FILM);
    await saved(bert, FILM, film);
    await expect.poll(() => kept(bert)).toBe(0);
    // Twice comes what was under way when it was killed, and when it was closed: four at a time.
    expect(await moved(relay, "out"), "chunks of 13 that the relay gave").toBeLessThanOrEqual(13 + 2 * 4);
    expect(bert.faults).toEqual([]);
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
});

test("an upload goes on when its page was closed and is said once; what cannot go on asks for its file; who signs out leaves nothing", async ({
  relay,
  somebody,
}) => {
  let [anna, bert] = await two(somebody);
  for (const one of [anna, bert]) await hides(one.context);
  await noPlaces(bert.context);
  bert = await again(bert);
  await bert.open("anna");
  // A picture whatever it is called, which goes before it; what hangs on behind makes it large.
  const film = Buffer.concat([png(1600, 1000), noise(9 * MIB, 31)]);
  const notes = noise(MIB, 32);
  const line = await held(anna, "PUT", 5);
  const second = { name: "notes.bin", mimeType: "application/octet-stream", buffer: notes };
  await choose(anna, { name: FILM, mimeType: "image/png", buffer: film }, second);
  await anna.composer.fill("from Sunday");
  await anna.composer.press("Enter");
  await expect(attached(anna)).toHaveCount(0);
  await line.reached;
  await expect.poll(() => relay.chunks().length).toBe(5);
  anna = await again(anna);
  await line.release();
  await bert.sees("from Sunday");
  const small = bert.page.locator(".message", { hasText: "from Sunday" }).locator("img");
  await expect.poll(() => small.evaluate((image: HTMLImageElement) => [image.naturalWidth, image.naturalHeight])).toEqual([320, 200]);
  // The other one had not had its turn.
  await anna.open("bert");
  await expect(going(anna)).toHaveCount(1);
  await expect(going(anna)).toContainText("Choose the file again");
  const chooser = anna.page.waitForEvent("filechooser");
  await going(anna).getByRole("button", { name: "Choose the file" }).click();
  await (await chooser).setFiles(second);
  await expect(card(bert, "notes.bin")).toBeVisible();
  await expect(going(anna)).toHaveCount(0);
  // Its copy is for who asks while the page is open, and the next page has no use for it.
  await expect.poll(() => kept(anna)).toBe(10);
  anna = await again(anna);
  await expect.poll(() => kept(anna)).toBe(0);
  await anna.open("bert");
  await expect(bert.page.locator(".file-name")).toHaveText([FILM, "notes.bin"]);
  expect(await moved(relay, "in"), "chunks of 12 that the relay was given").toBeLessThanOrEqual(12 + 4);

  // A browser that has no places hands it to its downloads when all is here, by itself.
  const slow = await held(bert, "GET", 5);
  await saves(bert, FILM);
  await slow.reached;
  await expect.poll(() => kept(bert)).toBe(5);
  const page = await bert.context.newPage();
  const coming = page.waitForEvent("download");
  const before = bert;
  await before.page.close();
  await page.goto(relay.url);
  await slow.release();
  expect(hashOf(readFileSync(await (await coming).path()))).toBe(hashOf(film));

  const stuck = await held(anna, "PUT", 2);
  await sends(anna, bin("secret.bin", noise(5 * MIB, 33)));
  await stuck.reached;
  expect(await kept(anna)).toBe(6);
  await anna.page.goto(`${relay.url}#/settings`);
  await anna.page.getByRole("button", { name: "Sign out" }).click();
  await anna.page.getByRole("dialog").getByRole("button", { name: "Sign out" }).click();
  await expect(anna.page.getByRole("button", { name: "Create account" })).toBeVisible();
  // The door is open a moment before everything is swept out.
  const lies = (): Promise<string[]> => anna.page.evaluate(async () => Array.fromAsync((await navigator.storage.getDirectory()).keys()));
  await expect.poll(lies).not.toContain("sotto-files");
  await stuck.release();
});
