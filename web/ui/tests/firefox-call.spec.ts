/** Calls between a real Firefox and a real Chromium, with a tone and a colour that are looked for at the other end. */
import type { Browser, Page } from "puppeteer-core";
import { FirefoxPerson, firefox } from "./firefox.ts";
import { COLOUR, heard, hears, recorded, sees, tileOf, TONE_HZ, WITH_DEVICES } from "./media.ts";
import type { Relay } from "./relay.ts";
import { expect, type Person, test } from "./support.ts";

test.use({ launchOptions: WITH_DEVICES });

/** Firefox with a microphone of its own making, which sends the tone, and whose relayed addresses may be on loopback. */
const WITH_MICROPHONE = {
  "media.navigator.permission.disabled": true,
  "media.navigator.streams.fake": true,
  "media.navigator.audio.fake_frequency": TONE_HZ,
  "media.autoplay.default": 0,
  "media.peerconnection.ice.loopback": true,
};

/** Its own camera runs through all colours; this one shows the one that is looked for. */
async function withCamera(page: Page): Promise<void> {
  await page.evaluateOnNewDocument(({ red, green, blue }) => {
    const media = navigator.mediaDevices;
    const real = media.getUserMedia.bind(media);
    media.getUserMedia = async (wanted) => {
      if (!wanted?.video) return real(wanted);
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [320, 240];
      const drawing = canvas.getContext("2d");
      setInterval(() => {
        if (!drawing) return;
        drawing.fillStyle = `rgb(${red} ${green} ${blue})`;
        drawing.fillRect(0, 0, 320, 240);
      }, 50);
      return canvas.captureStream(20);
    };
  }, COLOUR);
}

const panel = (who: Person) => who.page.locator("section.call");

/** What the panel of a call says in Firefox. */
async function says(who: FirefoxPerson, text: string): Promise<void> {
  await who.page.waitForFunction((text) => document.querySelector("section.call")?.textContent?.includes(text), {}, text);
}

async function answered(fritz: FirefoxPerson): Promise<void> {
  await says(fritz, "Incoming video call");
  await fritz.press("Answer with video");
}

test("a call between Chromium and Firefox carries sound and picture, and says how good it is", async ({ relay, somebody }) => {
  const anna = await somebody("anna");
  await firefox(async (browser) => {
    const fritz = new FirefoxPerson("fritz", await browser.newPage());
    await withCamera(fritz.page);
    await fritz.register(relay.url);
    await anna.writeTo("fritz");
    await anna.page.getByRole("button", { name: "Video call" }).click();
    await answered(fritz);
    await expect(panel(anna).getByRole("timer")).toBeVisible({ timeout: 30_000 });
    await hears(anna.page);
    await hears(fritz.page, recorded);
    await sees(anna.page);
    await sees(fritz.page);
    await expect(panel(anna).locator("[data-quality]")).toContainText(/direct · \d+ ms · [\d.]+ % lost · [1-9]\d* kbit\/s/);
    await fritz.page.waitForFunction(() =>
      /direct · \d+ ms · [\d.]+ % lost · [1-9]\d* kbit\/s/.test(document.querySelector("section.call [data-quality]")?.textContent ?? ""),
    );
    await fritz.press("Mute");
    await expect(panel(anna)).toContainText("Muted");
    await expect.poll(() => heard(anna.page)).toBe(0);
    await fritz.press("Unmute");
    await hears(anna.page);
    await relay.kill();
    await expect(anna.page.locator(".connection")).toHaveClass(/away/);
    await hears(anna.page);
    await hears(fritz.page, recorded);
    await relay.run();
    await anna.connected();
    await fritz.connected();
    await fritz.press("Hang up");
    await expect(panel(anna)).toContainText("The other side hung up");
    // And the other way round.
    await fritz.open("anna");
    await fritz.press("Voice call");
    await panel(anna).getByRole("button", { name: "Answer", exact: true }).click();
    await hears(anna.page);
    await hears(fritz.page, recorded);
    await panel(anna).getByRole("button", { name: "Hang up" }).click();
    await says(fritz, "The other side hung up");
  }, WITH_MICROPHONE);
});

// Of two devices in a call of a group the one with the smaller id offers, and each browser offers in its own way.
for (const offers of ["Chromium", "Firefox"])
  test(`in a call of a group, where ${offers} offers, Chromium and Firefox open what the other one sealed`, async ({ relay, somebody }) => {
    await firefox(async (browser) => {
      const [anna, fritz] = await registered(somebody, browser, relay, offers === "Firefox");
      await anna.create("Group", "lake house", [fritz.name]);
      await anna.page.getByRole("button", { name: "Video call" }).click();
      await fritz.press("Join with video");
      await hears(anna.page, heard, TONE_HZ, tileOf(fritz.name));
      await hears(fritz.page, recorded, TONE_HZ, tileOf(anna.name));
      await sees(anna.page, COLOUR, tileOf(fritz.name));
      await sees(fritz.page, COLOUR, tileOf(anna.name));
      await fritz.press("Leave");
      await expect(panel(anna).locator(".tile")).toHaveCount(1);
    }, WITH_MICROPHONE);
  });

/**
 * Somebody at a Chromium, and somebody with a camera at a Firefox, of whose devices the wanted one has the smaller id. Both are new
 * with each try: beside a device whose id happens to be among the smallest, hardly any is smaller.
 */
async function registered(
  somebody: (name: string) => Promise<Person>,
  browser: Browser,
  relay: Relay,
  isFirefoxBefore: boolean,
): Promise<[Person, FirefoxPerson]> {
  for (let tries = 1; tries <= 20; tries += 1) {
    const anna = await somebody(`anna${tries}`);
    const context = await browser.createBrowserContext();
    const fritz = new FirefoxPerson(`fritz${tries}`, await context.newPage());
    await withCamera(fritz.page);
    await fritz.register(relay.url);
    const [chromiums = "", firefoxes = ""] = relay.devices().slice(-2);
    if (firefoxes < chromiums === isFirefoxBefore) return [anna, fritz];
    await context.close();
    await anna.context.close();
  }
  throw new Error("of twenty pairs of devices none has its ids in the wanted order, which happens once in a million times");
}
