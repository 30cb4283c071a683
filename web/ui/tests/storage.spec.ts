/** A browser that gives no more room, or throws away what it kept: the page says so, and nothing is lost that it had shown as kept. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CDPSession, chromium } from "@playwright/test";
import { CHROMIUM, PAGE, read } from "./drive.mjs";
import type { Relay } from "./relay.ts";
import { expect, PASSWORD, Person, registered, test } from "./support.ts";

/** Somebody whose browser keeps things on a disk, as anybody's does, and what rules over its storage. */
async function kept(relay: Relay, work: (bert: Person, storage: CDPSession, words: string[]) => Promise<void>): Promise<void> {
  const profile = mkdtempSync(join(tmpdir(), "sotto-web-profile-"));
  const context = await chromium.launchPersistentContext(profile, { ...CHROMIUM, ...PAGE });
  context.setDefaultTimeout(20_000);
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    const bert = new Person("bert", context, page, relay);
    await page.goto(relay.url);
    const storage = await context.newCDPSession(page);
    await registered(bert, (words) => work(bert, storage, words));
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

const origin = (relay: Relay): string => new URL(relay.url).origin;

test("a store without room says what to do, keeps what it had, and goes on once there is room", async ({ relay, somebody }) => {
  const anna = await somebody("anna");
  await kept(relay, async (bert, storage) => {
    await anna.writeTo("bert");
    await anna.say("first");
    await bert.open("anna");
    await bert.say("kept before");
    await anna.sees("kept before");
    const { usage } = await storage.send("Storage.getUsageAndQuota", { origin: origin(relay) });
    await storage.send("Storage.overrideQuotaForOrigin", { origin: origin(relay), quotaSize: usage });
    const full = bert.page.locator("[data-alarm=store_failed]");
    const written: string[] = [];
    while (!(await full.isVisible())) {
      const start = `text number ${written.length} `;
      await bert.composer.fill(start + " and more ".repeat(1_700));
      await bert.composer.press("Enter");
      // It is kept and shown as a line, waiting or sent; or it comes back to where it was written.
      const line = bert.line(start);
      const back = async (): Promise<boolean> => (await bert.composer.inputValue()).startsWith(start);
      await expect.poll(async () => (await line.count()) > 0 || ((await full.isVisible()) && (await back()))).toBe(true);
      if ((await line.count()) > 0) written.push(start.trim());
    }
    await expect(full).toContainText("The browser gives no more room");
    await storage.send("Storage.overrideQuotaForOrigin", { origin: origin(relay) });
    await bert.page.reload();
    await bert.connected();
    await bert.open("anna");
    await bert.composer.fill("there is room again");
    await bert.composer.press("Enter");
    await anna.sees("there is room again");
    await bert.sees("there is room again");
    const texts = async (person: Person): Promise<(string | undefined)[]> =>
      (await read(person.page, person.name)).map(({ text }: { text: string }) => text.split("  ")[0]);
    const shown = await texts(bert);
    expect(shown).toEqual(["first", "kept before", ...written, "there is room again"]);
    await anna.open("bert");
    expect(await texts(anna)).toEqual(shown);
  });
});

test("a store that the browser threw away while the page was closed leaves a way back in", async ({ relay, somebody }) => {
  const anna = await somebody("anna");
  await kept(relay, async (bert, storage, words) => {
    await anna.writeTo("bert");
    await anna.say("first");
    await bert.open("anna");
    await bert.sees("first");
    await bert.page.goto("about:blank");
    await storage.send("Storage.clearDataForOrigin", { origin: origin(relay), storageTypes: "all" });
    await comesBack(bert, words);
    await anna.say("welcome back");
    await bert.sees("welcome back");
    await bert.sees("first");
  });
});

test("a store that the browser throws away under an open page is said, and leaves a way back in", async ({ relay, somebody }) => {
  const anna = await somebody("anna");
  await kept(relay, async (bert, storage, words) => {
    await anna.writeTo("bert");
    await anna.say("first");
    await bert.open("anna");
    await bert.sees("first");
    await storage.send("Storage.clearDataForOrigin", { origin: origin(relay), storageTypes: "all" });
    await anna.say("meanwhile");
    await bert.sees("meanwhile");
    // It is looked for every minute, and when somebody comes back to the window.
    await bert.page.evaluate(() => dispatchEvent(new Event("focus")));
    await expect(bert.page.locator("[data-alarm=store_failed]")).toContainText("write down your recovery words");
    await bert.say("the page still works");
    await anna.sees("the page still works");
    await bert.page.reload();
    await comesBack(bert, words);
    await bert.sees("the page still works");
    await bert.sees("first");
  });
});

/** Signs in as on a new device: the account is not gone with the store. */
async function comesBack(bert: Person, words: string[]): Promise<void> {
  const { page } = bert;
  await page.goto(bert.relay.url);
  await page.getByRole("tab", { name: "Recover" }).click();
  await page.getByRole("textbox", { name: "Username" }).fill("bert");
  await page.getByRole("textbox", { name: "Password" }).fill(PASSWORD);
  await page.getByRole("textbox", { name: /words/i }).fill(words.map((word) => word.replace(/^\d+\s*/, "")).join(" "));
  await page.locator("form button[type=submit]").click();
  await bert.connected();
  await bert.open("anna");
}
