/** Files straight from browser to browser, with the relay beside them: whoever gives, vanishes, hides or lies. */
import { writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import type { BrowserContext } from "@playwright/test";
import { bin, card, held, hides, kept, saved, saves, sends, trouble, two } from "./attach.ts";
import { inFolder, MIB, noise } from "./disk.ts";
import type { Relay } from "./relay.ts";
import { expect, type Person, test } from "./support.ts";

const FILM = "film.bin";

/** What a test's page counts and can be told, beside what it is. */
interface Meddled {
  /** Connections that the page made. */
  connections: number;
  /** Offers of a way for a connection that there was already. */
  restarts: number;
  /** Answers to such offers. */
  answered: number;
  /** Sends what was held back. */
  release: () => void;
}

type How = "watches" | "alters" | "stops" | "pauses";

/**
 * A page of somebody who does what no honest one does: the browser's own functions are others before the page begins. From the hundredth
 * message on, so in the middle of a file, it `stops` to send, or `pauses` until it is told to go on; or it `alters` all that it sends.
 */
async function meddle(context: BrowserContext, how: How): Promise<void> {
  await context.addInitScript((how: How) => {
    const meddled: Meddled = { connections: 0, restarts: 0, answered: 0, release: () => undefined };
    Object.assign(window, { meddled });
    const { createOffer, setRemoteDescription, createDataChannel } = RTCPeerConnection.prototype;
    const { send } = RTCDataChannel.prototype;
    Object.assign(RTCPeerConnection.prototype, {
      createDataChannel(this: RTCPeerConnection, label: string) {
        meddled.connections += 1;
        return createDataChannel.call(this, label);
      },
      createOffer(this: RTCPeerConnection, options?: RTCOfferOptions) {
        if (options?.iceRestart) meddled.restarts += 1;
        return Reflect.apply(createOffer, this, [options]) as unknown;
      },
      setRemoteDescription(this: RTCPeerConnection, given: RTCSessionDescriptionInit) {
        if (given.type === "offer") {
          if (this.remoteDescription) meddled.answered += 1;
          else meddled.connections += 1;
        }
        return Reflect.apply(setRemoteDescription, this, [given]) as unknown;
      },
    });
    const waiting: (() => void)[] = [];
    let sent = 0;
    let isFree = how === "watches" || how === "alters";
    meddled.release = () => {
      isFree = true;
      for (const go of waiting.splice(0)) go();
    };
    Object.assign(RTCDataChannel.prototype, {
      send(this: RTCDataChannel, bytes: Uint8Array<ArrayBuffer>) {
        sent += 1;
        const copy = bytes.slice();
        if (how === "alters" && copy.length > 1000) copy[999] = (copy[999] ?? 0) ^ 1;
        const go = (): void => send.call(this, copy);
        if (isFree || sent <= 100) go();
        else if (how === "pauses") waiting.push(go);
      },
    });
  }, how);
}

const meddled = (who: Person, what: "connections" | "restarts" | "answered"): Promise<number> =>
  who.page.evaluate((what) => (window as unknown as { meddled: Meddled }).meddled[what], what);

/** Loads the page anew, with what was put into its context since, and goes where it was. */
async function anew(who: Person, title: string): Promise<void> {
  await who.page.reload();
  await who.connected();
  await who.open(title);
}

/** Anna, who meddles so, sends; Bert sees it. */
async function sent(somebody: (name: string) => Promise<Person>, how: How): Promise<[Person, Person, Buffer]> {
  const [anna, bert] = await two(somebody);
  await meddle(anna.context, how);
  await meddle(bert.context, "watches");
  await anew(anna, "bert");
  await anew(bert, "anna");
  const film = noise(20 * MIB + 5, 21);
  await sends(anna, bin(FILM, film));
  await expect(card(bert, FILM)).toBeVisible({ timeout: 60_000 });
  return [anna, bert, film];
}

test("a file comes straight from the browser of the one who sent it, which is shown, and hardly any of it from the relay", async ({ somebody }) => {
  const [, bert, film] = await sent(somebody, "watches");
  let asked = 0;
  bert.context.on("request", (request) => void (asked += Number(/\/chunks\/\d+$/.test(request.url()))));
  // On a busy machine links are made slowly, and are slow: until there is one the relay gives nothing, and then slowly too.
  const relay = await held(bert, "GET", 0);
  await saves(bert, FILM);
  await expect(card(bert, FILM)).toContainText("directly from anna", { timeout: 30_000 });
  await relay.release(3_000);
  await saved(bert, FILM, film);
  await expect(card(bert, FILM).locator(".file-from")).toContainText("directly from anna");
  expect(asked, "chunks of 21 that the relay was asked for").toBeLessThan(10);
});

test("what was sent is given as it was, also when the file is another one since; its copy is gone with the page", async ({ somebody }) => {
  const [anna, bert] = await two(somebody);
  const film = noise(20 * MIB, 25);
  await inFolder(async (folder) => {
    const path = join(folder, FILM);
    writeFileSync(path, film);
    await sends(anna, path);
    await expect(card(bert, FILM)).toBeVisible({ timeout: 60_000 });
    writeFileSync(path, noise(20 * MIB, 26));
    const relay = await held(bert, "GET", 0);
    await saves(bert, FILM);
    await saved(bert, FILM, film);
    await expect(card(bert, FILM).locator(".file-from")).toHaveText("directly from anna (21 MB)");
    await relay.release();
  });
  expect(await kept(anna)).toBe(21);
  await anna.page.reload();
  await anna.connected();
  await expect.poll(() => kept(anna)).toBe(0);
});

test("who got a file gives it to the next one, also when the one who sent it is gone", async ({ somebody }) => {
  const [anna, bert] = await two(somebody);
  const carl = await somebody("carl");
  await anna.create("Group", "garden", ["bert", "carl"]);
  await bert.open("garden");
  await carl.open("garden");
  const film = noise(20 * MIB, 22);
  await sends(anna, bin(FILM, film));
  await saves(bert, FILM);
  await saved(bert, FILM, film);
  await anna.page.close();
  const relay = await held(carl, "GET", 0);
  const coming = carl.page.waitForEvent("download");
  await carl.page.evaluate(() => Object.assign(window, { showSaveFilePicker: undefined }));
  await saves(carl, FILM);
  await coming;
  await relay.release();
  await expect(card(carl, FILM).locator(".file-from")).toHaveText("directly from bert (21 MB)");
});

for (const [what, closes] of [
  ["is closed", true],
  ["goes silent", false],
] as const)
  test(`when the page of the giver ${what} in the middle, the relay gives the rest`, async ({ somebody }) => {
    const [anna, bert, film] = await sent(somebody, "stops");
    const relay = await held(bert, "GET", 0);
    await saves(bert, FILM);
    await expect(card(bert, FILM)).toContainText("directly from anna", { timeout: 30_000 });
    if (closes) await anna.page.close();
    await relay.release();
    await expect(card(bert, FILM)).toContainText("Saved", { timeout: 30_000 });
    await saved(bert, FILM, film);
    await expect(card(bert, FILM).locator(".file-from")).toContainText(/directly from anna \(.+\), from the server \(.+\)/);
  });

test("a giver whose network changed finds another way on the same link", async ({ somebody }) => {
  const [anna, bert, film] = await sent(somebody, "pauses");
  const relay = await held(bert, "GET", 0);
  await saves(bert, FILM);
  await expect(card(bert, FILM)).toContainText("directly from anna", { timeout: 30_000 });
  await expect(async () => {
    await anna.page.evaluate(() => dispatchEvent(new Event("online")));
    expect(await meddled(anna, "restarts")).toBeGreaterThan(0);
    expect(await meddled(bert, "answered")).toBeGreaterThan(0);
  }).toPass();
  await anna.page.evaluate(() => (window as unknown as { meddled: Meddled }).meddled.release());
  await saved(bert, FILM, film);
  await relay.release();
  await expect(card(bert, FILM).locator(".file-from")).toHaveText("directly from anna (21 MB)");
});

test("whoever sends something else than the file is named and not asked again, and the relay gives the file", async ({ somebody }) => {
  const [, bert, film] = await sent(somebody, "alters");
  const relay = await held(bert, "GET", 0);
  await saves(bert, FILM);
  await expect(card(bert, FILM).locator("[data-code=dropped]")).toContainText("anna sent something that is not this file", { timeout: 30_000 });
  await relay.release();
  await saved(bert, FILM, film);
  await expect(card(bert, FILM).locator(".file-from")).toHaveCount(0);
  expect(await meddled(bert, "connections")).toBe(1);
});

for (const who of ["takes", "gives"] as const)
  test(`whoever hides and ${who} has no links`, async ({ somebody }) => {
    const [anna, bert] = await two(somebody);
    const hidden = who === "gives" ? anna : bert;
    await hides(hidden.context);
    for (const one of [anna, bert]) {
      await meddle(one.context, "watches");
      await anew(one, one === anna ? "bert" : "anna");
    }
    const film = noise(20 * MIB, 23);
    await sends(anna, bin(FILM, film));
    await expect(card(bert, FILM)).toBeVisible({ timeout: 60_000 });
    await saves(bert, FILM);
    await saved(bert, FILM, film);
    await expect(card(bert, FILM)).not.toContainText("directly");
    for (const one of [anna, bert]) expect(await meddled(one, "connections")).toBe(0);
  });

/** As from behind a router of which no way leads to the other one: nothing but what TURN carries. */
async function isCutOff(who: Person): Promise<void> {
  await who.context.addInitScript(() => {
    const { setConfiguration } = RTCPeerConnection.prototype;
    Object.assign(RTCPeerConnection.prototype, {
      setConfiguration(this: RTCPeerConnection, given: RTCConfiguration) {
        setConfiguration.call(this, { ...given, iceTransportPolicy: "relay" });
      },
    });
  });
}

/** What is too old a relay deletes when it starts. */
async function deletes(relay: Relay, anna: Person, bert: Person): Promise<void> {
  await expect(async () => {
    await relay.kill();
    await relay.run();
    expect(relay.chunks()).toEqual([]);
  }).toPass();
  await anna.say("where is it?");
  await bert.sees("where is it?");
  await expect(bert.page.locator(".chat-detail")).toHaveText("online", { timeout: 60_000 });
}

test.describe("by a relay that keeps files for a second", () => {
  // Browsers are not sent to loopback, and TURN by itself to no address of a network like this machine's.
  const own = Object.values(networkInterfaces()).flat().find((one) => one?.family === "IPv4" && !one.internal)?.address ?? "";
  test.use({ settings: { SOTTO_RELAY_FILES_KEEP: "1s", SOTTO_RELAY_TURN_RELAY_ADDRESS: own, SOTTO_RELAY_TURN_PEERS: `${own}/32` } });

  test("a file that the relay does not have any more comes over its TURN where nothing direct stands", async ({ relay, somebody }) => {
    const [anna, bert] = await two(somebody);
    for (const one of [anna, bert]) await isCutOff(one);
    await anew(anna, "bert");
    await anew(bert, "anna");
    const film = noise(20 * MIB + 5, 28);
    await sends(anna, bin(FILM, film));
    await expect(card(bert, FILM)).toBeVisible({ timeout: 60_000 });
    await deletes(relay, anna, bert);
    await saves(bert, FILM);
    await expect(card(bert, FILM)).toContainText("Saved", { timeout: 60_000 });
    await saved(bert, FILM, film);
    await expect(card(bert, FILM).locator(".file-from")).toHaveText("by way of the server from anna (21 MB)");
  });

  test("a file that the relay does not have any more comes from the browser that sent it; without anybody who has it, that is said", async ({ relay, somebody }) => {
    const [anna, bert] = await two(somebody);
    const film = noise(20 * MIB + 5, 27);
    await sends(anna, bin(FILM, film));
    await expect(card(bert, FILM)).toBeVisible({ timeout: 60_000 });
    await deletes(relay, anna, bert);
    await saves(bert, FILM);
    await expect(card(bert, FILM)).toContainText("Saved", { timeout: 30_000 });
    await saved(bert, FILM, film);
    await expect(card(bert, FILM).locator(".file-from")).toHaveText("directly from anna (21 MB)");

    // Bert has it in a place of his; the pages that gave it are closed.
    await bert.page.reload();
    await anna.page.close();
    await bert.connected();
    await bert.open("anna");
    await saves(bert, FILM);
    await expect(trouble(card(bert, FILM))).toBeVisible({ timeout: 30_000 });
  });
});
