/** Calls between real browsers, with a tone and a colour that are looked for at the other end. */
import type { Page } from "@playwright/test";
import { COLOUR, heard, seen, TONE_HZ, WITH_DEVICES } from "./media.ts";
import { Relay } from "./relay.ts";
import { sound } from "./screens.ts";
import { expect, PASSWORD, type Person, register, test, visit } from "./support.ts";

test.use({ launchOptions: WITH_DEVICES });

const panel = (who: Person) => who.page.locator("section.call");
const button = (who: Person, name: string) => panel(who).getByRole("button", { name, exact: true });
const notice = (who: Person) => who.page.locator(".notice").last();

async function calls(who: Person, kind: "Voice call" | "Video call"): Promise<void> {
  await who.page.getByRole("button", { name: kind }).click();
  await expect(panel(who)).toContainText(/Calling|Ringing/);
}

async function talks(...people: Person[]): Promise<void> {
  for (const one of people) await expect(panel(one).getByRole("timer")).toBeVisible({ timeout: 30_000 });
}

/** The tone of the other one's microphone arrives. */
async function hears(who: Person): Promise<void> {
  await expect.poll(async () => Math.abs((await heard(who.page)) - TONE_HZ), { timeout: 30_000 }).toBeLessThan(8);
}

async function sees(who: Person): Promise<void> {
  await expect
    .poll(
      async () => {
        const [red = 0, green = 0, blue = 0] = await seen(who.page);
        return Math.max(Math.abs(red - COLOUR.red), Math.abs(green - COLOUR.green), Math.abs(blue - COLOUR.blue));
      },
      { timeout: 30_000 },
    )
    .toBeLessThan(45);
}

/** Two people who hear each other. */
async function inVoiceCall(somebody: (name: string) => Promise<Person>): Promise<[Person, Person]> {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await calls(anna, "Voice call");
  await button(bert, "Answer").click();
  await talks(anna, bert);
  await hears(bert);
  return [anna, bert];
}

test("a video call carries sound and picture both ways, and its length stays in the history of both", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await calls(anna, "Video call");
  await expect(panel(bert)).toContainText("Incoming video call");
  await expect(panel(anna)).toContainText("Ringing");
  await button(bert, "Answer with video").click();
  await talks(anna, bert);
  for (const one of [anna, bert]) {
    await hears(one);
    await sees(one);
    await expect(panel(one).locator("[data-quality]")).toContainText(/direct · \d+ ms · [\d.]+ % lost · [1-9]\d* kbit\/s/);
  }
  await button(anna, "Hang up").click();
  await expect(panel(bert)).toContainText("The other side hung up");
  await expect(notice(anna)).toContainText(/Outgoing video call, \d+/);
  await bert.open("anna");
  await expect(notice(bert)).toContainText(/Incoming video call, \d+/);
  for (const one of [anna, bert]) await expect(panel(one)).toBeHidden();
});

test("muting, the camera and hold are shown at the other end, and nothing is sent", async ({ somebody }) => {
  const [anna, bert] = await inVoiceCall(somebody);
  await button(anna, "Mute").click();
  await expect(panel(bert)).toContainText("Muted");
  await expect.poll(() => heard(bert.page)).toBe(0);
  await hears(anna);
  await button(anna, "Unmute").click();
  await hears(bert);
  await expect(bert.page.locator(".call-remote")).toBeHidden();
  await button(anna, "Camera on").click();
  await sees(bert);
  await button(anna, "Hold").click();
  await expect(panel(bert)).toContainText("Put you on hold");
  await expect.poll(() => heard(bert.page)).toBe(0);
  await button(anna, "Resume").click();
  await hears(bert);
  await button(anna, "Camera off").click();
  await expect(bert.page.locator(".call-remote")).toBeHidden();
  await button(bert, "Hang up").click();
  await expect(panel(anna)).toContainText("The other side hung up");
});

test("a call that is declined is over on both sides, and one that nobody takes is missed", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await calls(anna, "Voice call");
  await button(bert, "Decline").click();
  await expect(panel(anna)).toContainText("Declined");
  await expect(notice(anna)).toHaveText("Call, declined");
  await calls(anna, "Video call");
  await expect(panel(bert)).toContainText("Incoming video call");
  await button(anna, "Hang up").click();
  await expect(button(bert, "Answer")).toHaveCount(0);
  await expect(bert.item("anna")).toContainText("Missed video call");
  await expect(bert.item("anna").locator(".unread")).toHaveText("1");
  await expect(notice(anna)).toHaveText("Video call, no answer");
});

test("when both call each other at the same moment, they talk", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await anna.say("call me");
  await bert.open("anna");
  for (let tries = 0; tries < 3; tries += 1) {
    // Whoever was quicker is answered; at the same moment nobody has to.
    await Promise.all([anna, bert].map((one) => one.page.getByRole("button", { name: "Voice call" }).click({ noWaitAfter: true })));
    await expect(panel(anna)).toBeVisible();
    for (const one of [anna, bert]) if (await button(one, "Answer").isVisible()) await button(one, "Answer").click();
    await talks(anna, bert);
    await hears(anna);
    await hears(bert);
    await button(anna, "Hang up").click();
    for (const one of [anna, bert]) await expect(panel(one)).toBeHidden();
  }
});

test("who is in a call is busy for everybody else", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  const clara = await somebody("clara");
  await anna.writeTo("bert");
  await clara.writeTo("bert");
  await calls(anna, "Voice call");
  await button(bert, "Answer").click();
  await talks(anna, bert);
  await clara.page.getByRole("button", { name: "Voice call" }).click();
  await expect(panel(clara)).toContainText("The other side is in another call");
  await expect(bert.item("clara")).toContainText("Missed call");
  await hears(anna);
});

test("it rings on all devices of an account and stops on the others when one takes it", async ({ browser, relay, somebody }) => {
  const anna = await somebody("anna");
  const bert = await visit(browser, relay, "bert");
  const words = await register(bert);
  const phone = await visit(browser, relay, "bert");
  await phone.page.getByRole("tab", { name: "Sign in" }).click();
  await phone.page.getByRole("textbox", { name: "Username or e-mail" }).fill("bert");
  await phone.page.getByRole("textbox", { name: "Password" }).fill(PASSWORD);
  await phone.page.getByRole("button", { name: "Sign in" }).click();
  await phone.page.getByRole("textbox", { name: "Recovery words" }).fill(words.join(" "));
  await phone.page.getByRole("button", { name: "Recover" }).click();
  await phone.connected();
  await anna.writeTo("bert");
  await anna.say("I'll call you");
  await expect(bert.item("anna")).toBeVisible();
  await expect(phone.item("anna")).toBeVisible();
  await calls(anna, "Voice call");
  await expect(panel(bert)).toContainText("Incoming call");
  await button(phone, "Answer").click();
  await expect(panel(bert)).toContainText("Answered on another device");
  await talks(anna, phone);
  await hears(phone);
  await button(phone, "Hang up").click();
  await phone.open("anna");
  await expect(notice(phone)).toContainText("Incoming call");
  for (const one of [bert, phone]) {
    expect(one.faults).toEqual([]);
    await one.context.close();
  }
});

test("a call goes on when the relay is killed", async ({ relay, somebody }) => {
  const [anna, bert] = await inVoiceCall(somebody);
  await relay.kill();
  for (const one of [anna, bert]) await expect(one.page.locator(".connection")).toHaveClass(/away/);
  await hears(anna);
  await hears(bert);
  await relay.run();
  for (const one of [anna, bert]) await one.connected();
  await hears(anna);
  await button(anna, "Hang up").click();
  await expect(panel(bert)).toContainText("The other side hung up");
  await expect(notice(anna)).toContainText(/Outgoing call, \d+/);
});

/** Leaves the browser only the servers that one way leads to, and keeps its connections for looking at. */
async function only(page: Page, transport: "udp" | "tcp"): Promise<void> {
  await page.addInitScript((wanted) => {
    const Real = RTCPeerConnection;
    const kept: RTCPeerConnection[] = [];
    Object.assign(globalThis, { kept });
    globalThis.RTCPeerConnection = class extends Real {
      constructor(settings: RTCConfiguration = {}) {
        const servers = (settings.iceServers ?? []).map((server) => ({
          ...server,
          urls: [server.urls].flat().filter((url) => url.startsWith("turn:") && url.endsWith(`transport=${wanted}`)),
        }));
        super({ ...settings, iceServers: servers.filter((server) => server.urls.length > 0) });
        kept.push(this);
      }
    };
  }, transport);
}

/** How this browser reaches the relay that lends it an address. */
function carriers(page: Page): Promise<(string | undefined)[]> {
  return page.evaluate(async () => {
    const [connection] = (globalThis as unknown as { kept: RTCPeerConnection[] }).kept;
    const stats = [...((await connection?.getStats())?.values() ?? [])] as (RTCStats & Record<string, string>)[];
    return stats.filter((one) => one.type === "local-candidate").map((one) => `${one["candidateType"]} ${one["relayProtocol"]}`);
  });
}

/** The address that this relay lends is on loopback, which an operator has to name. */
const withPeersHere = test.extend<{ relay: Relay }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright asks for this form.
  relay: async ({}, use) => {
    const relay = await Relay.start({ SOTTO_RELAY_TURN_PEERS: "loopback" });
    await use(relay);
    await relay.stop();
  },
});

for (const transport of ["udp", "tcp"] as const) {
  withPeersHere(`with relayed calls only, sound and picture go through the relay's TURN over ${transport}`, async ({ relay, somebody }) => {
    const people = [await somebody("anna"), await somebody("bert")] as const;
    const [anna, bert] = people;
    await anna.writeTo("bert");
    await anna.say("hello");
    for (const one of people) {
      await only(one.page, transport);
      await one.page.goto(`${relay.url}#/settings`);
      await one.page.reload();
      await one.page.getByRole("switch", { name: "Relayed calls only" }).check();
      await one.connected();
    }
    await anna.open("bert");
    await calls(anna, "Video call");
    await button(bert, "Answer with video").click();
    await talks(anna, bert);
    for (const one of people) {
      await hears(one);
      await sees(one);
      await expect(panel(one).locator("[data-quality]")).toContainText("relayed");
      expect(new Set(await carriers(one.page))).toEqual(new Set([`relay ${transport}`]));
    }
    await button(bert, "Hang up").click();
    await expect(panel(anna)).toContainText("The other side hung up");
  });
}

for (const [name, options] of [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["phone", { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }],
] as const) {
  test(`axe finds nothing on a call, and it is worked with the keyboard alone, ${name}`, async ({ somebody }) => {
    const anna = await somebody("anna", { ...options, reducedMotion: "reduce" });
    const bert = await somebody("bert");
    await bert.writeTo("anna");
    await bert.say("may I call?");
    await calls(bert, "Video call");
    await expect(panel(anna)).toContainText("Incoming video call");
    await sound(anna, "it rings");
    await button(anna, "Answer with video").press("Enter");
    await talks(anna, bert);
    await sees(anna);
    await button(anna, "Devices").press("Enter");
    await expect(panel(anna).getByRole("combobox", { name: "Microphone" })).toBeVisible();
    await sound(anna, "a call");
    await button(anna, "Larger").or(button(anna, "Smaller")).press("Enter");
    await sound(anna, "the other size");
    expect(await anna.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
    await button(anna, "Hang up").press("Enter");
    await expect(panel(bert)).toContainText("The other side hung up");
  });
}
