/** Files straight between a browser and a terminal: the real program `sotto`, with the relay beside them. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bin, card, held, hides, saved, saves, sends } from "./attach.ts";
import { chosenPlaces, hashOf, MIB, noise } from "./disk.ts";
import { type Going, Native } from "./native.ts";
import type { Relay } from "./relay.ts";
import { test as base, expect, type Person } from "./support.ts";

const FILM = "film.bin";

/** Somebody at a terminal whom Anna writes to. What Anna saves goes to a place that was chosen. */
const test = base.extend<{ terry: Native; anna: Person }>({
  terry: async ({ relay }, use) => {
    const terry = await Native.register(relay, "terry");
    await use(terry);
    terry.leave();
  },
  anna: async ({ terry, somebody }, use) => {
    const anna = await somebody("anna");
    await chosenPlaces(anna.context);
    await anew(anna);
    await anna.writeTo("terry");
    await anna.say("Hello Terry");
    await expect.poll(() => terry.texts("anna")).toEqual(["Hello Terry"]);
    await use(anna);
  },
});

/** Loads the page anew, with what was put into its context since. */
async function anew(who: Person): Promise<void> {
  await who.page.reload();
  await who.connected();
}

/** Terry sends a film and stays to give it. */
async function seeds(terry: Native, anna: Person): Promise<[Buffer, Going]> {
  const film = noise(20 * MIB + 5, 31);
  writeFileSync(join(terry.home, FILM), film);
  await terry.does("send", "anna", "--file", join(terry.home, FILM));
  const going = terry.begins("seed");
  await expect.poll(() => going.said.map(({ type }) => type), { timeout: 30_000 }).toContain("seeding");
  await expect(card(anna, FILM)).toBeVisible({ timeout: 60_000 });
  // Nobody is asked where nobody is there.
  await expect(anna.page.locator(".chat-detail")).toHaveText("online");
  return [film, going];
}

/** What is too old a relay deletes when it starts. */
async function deletes(relay: Relay): Promise<void> {
  await expect(async () => {
    await relay.kill();
    await relay.run();
    expect(relay.chunks()).toEqual([]);
  }).toPass();
}

interface Got {
  path: string;
  sources: { carrier: string; username?: string; bytes: number }[];
}

/** Terry gets what Anna sent last. */
async function gets(terry: Native): Promise<Got> {
  const said = await terry.does("--json", "get", "anna", "-o", join(terry.home, `inbox-${FILM}`));
  return JSON.parse(said.trim().split("\n").at(-1) ?? "") as Got;
}

test("a browser gets a file straight from the terminal that sent it, which is shown, and hardly any of it from the relay", async ({ anna, terry }) => {
  const [film] = await seeds(terry, anna);
  let asked = 0;
  anna.context.on("request", (request) => void (asked += Number(/\/chunks\/\d+$/.test(request.url()))));
  // On a busy machine links are made slowly, and are slow: until there is one the relay gives nothing, and then slowly too.
  const relay = await held(anna, "GET", 0);
  await saves(anna, FILM);
  await expect(card(anna, FILM)).toContainText("directly from terry", { timeout: 30_000 });
  await relay.release(3_000);
  await saved(anna, FILM, film);
  await expect(card(anna, FILM).locator(".file-from")).toContainText("directly from terry");
  expect(asked, "chunks of 21 that the relay was asked for").toBeLessThan(10);
});

test("when the terminal is killed in the middle, the relay gives the rest", async ({ anna, terry }) => {
  // All that the page sends over a link are questions: it gets no answer to those that it does not send.
  await anna.context.addInitScript(() => {
    const { send } = RTCDataChannel.prototype;
    let sent = 0;
    Object.assign(RTCDataChannel.prototype, {
      send(this: RTCDataChannel, bytes: ArrayBufferView<ArrayBuffer>) {
        sent += 1;
        Object.assign(window, { asked: sent });
        if (sent <= 8) send.call(this, bytes);
      },
    });
  });
  await anew(anna);
  await anna.open("terry");
  const [film, going] = await seeds(terry, anna);
  const relay = await held(anna, "GET", 0);
  await saves(anna, FILM);
  // At most six are asked at a time: some have come by the ninth.
  await expect.poll(() => anna.page.evaluate(() => Number((window as { asked?: number }).asked)), { timeout: 30_000 }).toBeGreaterThan(8);
  going.signal("SIGKILL");
  await going.ended;
  await relay.release();
  await expect(card(anna, FILM)).toContainText("Saved", { timeout: 30_000 });
  await saved(anna, FILM, film);
  await expect(card(anna, FILM).locator(".file-from")).toContainText(/directly from terry \(.+\), from the server \(.+\)/);
});

test("a terminal gets nothing straight from a browser that hides", async ({ anna, terry }) => {
  await hides(anna.context);
  await anew(anna);
  await anna.open("terry");
  const film = noise(6 * MIB, 33);
  await sends(anna, bin(FILM, film));
  await expect.poll(async () => (await terry.reads("anna")).map(({ kind }) => kind)).toContain("file");
  const got = await gets(terry);
  expect(hashOf(readFileSync(got.path))).toBe(hashOf(film));
  expect(got.sources.map(({ carrier }) => carrier)).toEqual(["relay"]);
});

test.describe("by a relay that keeps files for a second", () => {
  test.use({ settings: { SOTTO_RELAY_FILES_KEEP: "1s" } });

  test("a terminal gets a file straight from the browser that sent it when the relay does not have it any more", async ({ anna, terry, relay }) => {
    const film = noise(20 * MIB + 5, 32);
    await sends(anna, bin(FILM, film));
    await expect.poll(async () => (await terry.reads("anna")).map(({ kind }) => kind), { timeout: 60_000 }).toContain("file");
    await deletes(relay);
    await terry.does("send", "anna", "where is it?");
    await anna.sees("where is it?");
    // Until the relay has told the one that the other is there, nobody is asked.
    let got!: Got;
    await expect(async () => void (got = await gets(terry))).toPass({ timeout: 60_000 });
    expect(hashOf(readFileSync(got.path))).toBe(hashOf(film));
    expect(got.sources).toMatchObject([{ carrier: "direct", username: "anna", bytes: film.length }]);
  });

  test("a browser gets a file straight from the terminal that sent it when the relay does not have it any more", async ({ anna, terry, relay }) => {
    const [film] = await seeds(terry, anna);
    await deletes(relay);
    await anna.say("where is it?");
    // Until the relay has told the one that the other is there, nobody is asked.
    await expect(async () => {
      await saves(anna, FILM);
      await expect(card(anna, FILM)).toContainText("Saved", { timeout: 20_000 });
    }).toPass({ timeout: 90_000 });
    await saved(anna, FILM, film);
    await expect(card(anna, FILM).locator(".file-from")).toHaveText("directly from terry (21 MB)");
  });
});
