/** The core of the interface in a real Firefox. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ElementHandle } from "puppeteer-core";
import { hashOf, inFolder, MIB, noise } from "./disk.ts";
import { FirefoxPerson, firefox } from "./firefox.ts";
import { Native } from "./native.ts";
import { expect, test } from "./support.ts";

test("in Firefox a person talks with Chromium and a terminal, through a killed relay and a reload", async ({ relay, somebody }) => {
  const terminal = await Native.register(relay, "terry");
  const anna = await somebody("anna");
  await firefox(async (browser) => {
    const fritz = new FirefoxPerson("fritz", await browser.newPage());
    await fritz.register(relay.url);
    await anna.create("Group", "garden", ["fritz", "terry"]);
    await anna.say("hello from Chromium");
    await fritz.open("garden");
    await fritz.sees("hello from Chromium");
    await fritz.say("hello from Firefox");
    await anna.sees("hello from Firefox");
    await terminal.does("send", "garden", "hello from a terminal");
    await fritz.sees("hello from a terminal");
    await relay.kill();
    await fritz.say("written while it was away");
    await relay.run();
    await anna.sees("written while it was away");
    await fritz.page.reload();
    await fritz.connected();
    await fritz.open("garden");
    await fritz.sees("hello from Chromium");
    await fritz.say("still here");
    await anna.sees("still here");
    await expect
      .poll(() => terminal.texts("garden"))
      .toEqual([
        "hello from Chromium",
        "hello from Firefox",
        "hello from a terminal",
        "written while it was away",
        "still here",
      ]);
  });
  terminal.leave();
});

test("a file goes from Firefox to a terminal and back, the same each time", async ({ relay, somebody }) => {
  const terminal = await Native.register(relay, "terry");
  const anna = await somebody("anna");
  await firefox(async (browser) => {
    const fritz = new FirefoxPerson("fritz", await browser.newPage());
    await fritz.register(relay.url);
    await anna.create("Group", "garden", ["fritz", "terry"]);
    await anna.say("hello");
    await fritz.open("garden");
    await fritz.sees("hello");
    await inFolder(async (folder) => {
      const [film, notes] = [noise(2 * MIB + 5, 1), noise(MIB + 7, 2)];
      writeFileSync(join(folder, "film.bin"), film);
      const input = await fritz.page.waitForSelector("input[type=file]");
      await (input as ElementHandle<HTMLInputElement>).uploadFile(join(folder, "film.bin"));
      await fritz.page.waitForSelector(".tray.attached .tray-row");
      await fritz.say("from Firefox");
      await anna.sees("from Firefox");
      await terminal.does("get", "garden", "--last", "-o", `${folder}/got/`);
      expect(hashOf(readFileSync(join(folder, "got", "film.bin")))).toBe(hashOf(film));
      writeFileSync(join(folder, "notes.bin"), notes);
      await terminal.does("send", "garden", "--file", join(folder, "notes.bin"), "--caption", "from a terminal");
      await fritz.sees("from a terminal");
      // What the page hands to the browser's downloads.
      const saved = await fritz.page.evaluate(async () => {
        const handed = new Promise<Blob>((resolve) => {
          const make = URL.createObjectURL.bind(URL);
          URL.createObjectURL = (blob: Blob) => {
            resolve(blob);
            return make(blob);
          };
        });
        [...document.querySelectorAll<HTMLElement>(".file-save")].at(-1)?.click();
        const hash = await crypto.subtle.digest("SHA-256", await (await handed).arrayBuffer());
        return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      });
      expect(saved).toBe(hashOf(notes));
    });
  });
  terminal.leave();
});

test("a private window of Firefox keeps nothing and says so, and two people talk in it all the same", async ({ relay, somebody }) => {
  const anna = await somebody("anna");
  await firefox(
    async (browser) => {
      const fritz = new FirefoxPerson("fritz", await browser.newPage());
      await fritz.register(relay.url);
      await fritz.page.waitForFunction(() => document.querySelector(".banner.warn")?.textContent?.includes("This window keeps nothing"));
      await anna.writeTo("fritz");
      await anna.say("hello from an ordinary window");
      await fritz.open("anna");
      await fritz.sees("hello from an ordinary window");
      await fritz.say("hello from a private one");
      await anna.sees("hello from a private one");
      await relay.kill();
      await fritz.say("written while it was away");
      await relay.run();
      await anna.sees("written while it was away");
    },
    { "browser.privatebrowsing.autostart": true },
  );
});
