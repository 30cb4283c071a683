/** Calls between a browser and a terminal: the real program `sotto`, with sound and pictures from files and into files. */
import { join } from "node:path";
import { heard, hears, isFilmed, picture, sees, TONE_HZ, tone, WITH_DEVICES, written } from "./media.ts";
import { type Going, Native } from "./native.ts";
import { test as base, expect, type Person } from "./support.ts";

/** What the terminal's microphone has, so that nobody takes an echo for the other one. */
const TERMINAL_HZ = 660;
/** The same for its camera: no colour of the interface, and not that of Anna's. */
const TERMINAL_COLOUR = { red: 30, green: 160, blue: 60 };

/** Somebody at a terminal whom Anna writes to. */
const test = base.extend<{ terry: Native; anna: Person }>({
  terry: async ({ relay }, use) => {
    const terry = await Native.register(relay, "terry");
    await use(terry);
    terry.leave();
  },
  anna: async ({ terry, somebody }, use) => {
    const anna = await somebody("anna");
    await anna.writeTo("terry");
    await anna.say("may I call you?");
    await expect.poll(() => terry.texts("anna")).toEqual(["may I call you?"]);
    await use(anna);
  },
});

test.use({ launchOptions: WITH_DEVICES });

const panel = (who: Person) => who.page.locator("section.call");
const button = (who: Person, name: string) => panel(who).getByRole("button", { name, exact: true });
const recording = (terry: Native) => join(terry.home, "heard.wav");
const film = (terry: Native) => join(terry.home, "seen.ivf");

/** What the terminal is told: what it does, and its sound. */
function begins(terry: Native, ...words: string[]): Going {
  return terry.begins(...words, "--microphone", tone(TERMINAL_HZ), "--speaker", recording(terry));
}

const said = (going: Going, type: string) => going.said.filter((one) => one.type === type);
const qualities = (going: Going) => said(going, "call_quality").filter((one) => Number(one.received_kbit_s) > 5);

/** Each is told which way the call takes. */
async function goes(anna: Person, going: Going, path: "direct" | "relayed"): Promise<void> {
  await expect(panel(anna).locator("[data-quality]")).toContainText(path);
  // It is told every two seconds: now there is enough to look for a tone in.
  await expect.poll(() => qualities(going).length).toBeGreaterThan(1);
  expect(qualities(going).at(-1)).toMatchObject({ path });
  expect(said(going, "call").map((one) => one.state)).toContain("connected");
}

/** They talk, and there is no picture. */
async function talk(anna: Person, going: Going, path: "direct" | "relayed"): Promise<void> {
  await expect(panel(anna).getByRole("timer")).toBeVisible({ timeout: 30_000 });
  await hears(anna.page, heard, TERMINAL_HZ);
  await expect(anna.page.locator(".call-remote"), "there is no picture").toBeHidden();
  await goes(anna, going, path);
}

/** It ends in good order, and what it heard was Anna. */
async function hasHeard(terry: Native, going: Going, reason: "ended" | "hung_up"): Promise<void> {
  expect(await going.ended, going.errors).toBe(0);
  expect(said(going, "call").at(-1)).toMatchObject({ state: "ended", reason });
  expect(Math.abs(written(recording(terry)) - TONE_HZ)).toBeLessThan(8);
}

for (const kind of ["Voice call", "Video call"]) {
  test(`a terminal takes a ${kind.toLowerCase()} from a browser, and both hear each other until the browser hangs up`, async ({ anna, terry }) => {
    const going = begins(terry, "answer");
    await anna.page.getByRole("button", { name: kind }).click();
    await talk(anna, going, "direct");
    await button(anna, "Hang up").click();
    await hasHeard(terry, going, "hung_up");
  });
}

test("a terminal calls a browser, and both hear each other until the terminal hangs up", async ({ anna, terry }) => {
  const going = begins(terry, "call", "anna");
  await expect(panel(anna)).toContainText("Incoming call");
  await button(anna, "Answer").click();
  await talk(anna, going, "direct");
  going.signal("SIGINT");
  await expect(panel(anna)).toContainText("The other side hung up");
  await hasHeard(terry, going, "ended");
});

/** They talk, and each sees the other's camera. */
async function see(anna: Person, terry: Native): Promise<void> {
  await expect(panel(anna).getByRole("timer")).toBeVisible({ timeout: 30_000 });
  await hears(anna.page, heard, TERMINAL_HZ);
  await sees(anna.page, TERMINAL_COLOUR);
  await isFilmed(anna.page, film(terry));
}

test("a terminal with a camera takes a video call from a browser, and both see each other", async ({ anna, terry }) => {
  const going = begins(terry, "answer", "--camera", picture(TERMINAL_COLOUR), "--record", film(terry));
  await anna.page.getByRole("button", { name: "Video call" }).click();
  await see(anna, terry);
  await button(anna, "Hang up").click();
  await hasHeard(terry, going, "hung_up");
});

test("a terminal with a camera calls a browser, and both see each other", async ({ anna, terry }) => {
  const going = begins(terry, "call", "anna", "--camera", picture(TERMINAL_COLOUR), "--record", film(terry));
  await expect(panel(anna)).toContainText("Incoming video call");
  await button(anna, "Answer with video").click();
  await see(anna, terry);
  going.signal("SIGINT");
  await expect(panel(anna)).toContainText("The other side hung up");
  await hasHeard(terry, going, "ended");
});

test("a terminal without a camera sees the one that a browser turns on in a voice call", async ({ anna, terry }) => {
  const going = begins(terry, "call", "anna", "--record", film(terry));
  await expect(panel(anna)).toContainText("Incoming call");
  await button(anna, "Answer").click();
  await talk(anna, going, "direct");
  await button(anna, "Camera on").click();
  await isFilmed(anna.page, film(terry));
  await expect(anna.page.locator(".call-remote"), "there is no picture").toBeHidden();
  await button(anna, "Hang up").click();
  await hasHeard(terry, going, "hung_up");
});

test.describe("by a relay that lends addresses on loopback", () => {
  test.use({ settings: { SOTTO_RELAY_TURN_PEERS: "loopback" } });

  test("where both want relayed calls only, sound and picture go through the relay's TURN", async ({ anna, relay, terry }) => {
    await anna.page.goto(`${relay.url}#/settings`);
    await anna.page.getByRole("switch", { name: "Through the server only" }).check();
    await anna.connected();
    await anna.open("terry");
    const going = begins(terry, "--relay-only", "answer", "--camera", picture(TERMINAL_COLOUR), "--record", film(terry));
    await anna.page.getByRole("button", { name: "Video call" }).click();
    await see(anna, terry);
    await goes(anna, going, "relayed");
    await button(anna, "Hang up").click();
    await hasHeard(terry, going, "hung_up");
  });
});
