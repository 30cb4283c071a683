/** Calls between real browsers, with a tone and a colour that are looked for at the other end. */
import type { Page } from "@playwright/test";
import { difference, heard, hears, sees, WITH_DEVICES } from "./media.ts";
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

/** Two people who hear each other. */
async function inVoiceCall(somebody: (name: string) => Promise<Person>): Promise<[Person, Person]> {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await calls(anna, "Voice call");
  await button(bert, "Answer").click();
  await talks(anna, bert);
  await hears(bert.page);
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
    await hears(one.page);
    await sees(one.page);
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
  await hears(anna.page);
  await button(anna, "Unmute").click();
  await hears(bert.page);
  await expect(bert.page.locator(".call-remote")).toBeHidden();
  await button(anna, "Camera on").click();
  await sees(bert.page);
  await button(anna, "Hold").click();
  await expect(panel(bert)).toContainText("Put you on hold");
  await expect.poll(() => heard(bert.page)).toBe(0);
  await button(anna, "Resume").click();
  await hears(bert.page);
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
    // At the same moment nobody has to answer. Where one was so much quicker that the other could not call any more, that one answers.
    await Promise.all([anna, bert].map((one) => one.page.getByRole("button", { name: "Voice call" }).evaluate((it: HTMLElement) => it.click())));
    await expect(async () => {
      for (const one of [anna, bert]) await button(one, "Answer").click({ timeout: 100 }).catch(() => undefined);
      for (const one of [anna, bert]) await expect(panel(one).getByRole("timer")).toBeVisible({ timeout: 2_000 });
    }).toPass({ timeout: 30_000 });
    await hears(anna.page);
    await hears(bert.page);
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
  await hears(anna.page);
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
  await hears(phone.page);
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
  await hears(anna.page);
  await hears(bert.page);
  await relay.run();
  for (const one of [anna, bert]) await one.connected();
  await hears(anna.page);
  await button(anna, "Hang up").click();
  await expect(panel(bert)).toContainText("The other side hung up");
  await expect(notice(anna)).toContainText(/Outgoing call, \d+/);
});

type Transport = "udp" | "tcp" | "tls";

/** Leaves the browser only the servers that one way leads to, and keeps its connections for looking at. */
async function only(page: Page, transport: Transport): Promise<void> {
  await page.addInitScript((wanted) => {
    const Real = RTCPeerConnection;
    const kept: RTCPeerConnection[] = [];
    Object.assign(globalThis, { kept });
    globalThis.RTCPeerConnection = class extends Real {
      constructor(settings: RTCConfiguration = {}) {
        const servers = (settings.iceServers ?? []).map((server) => ({
          ...server,
          urls: [server.urls]
            .flat()
            .filter((url) => (wanted === "tls" ? url.startsWith("turns:") : url.startsWith("turn:") && url.endsWith(`transport=${wanted}`))),
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
    const relay = await Relay.start({ SOTTO_RELAY_TURN_PEERS: "loopback", SOTTO_RELAY_TURN_TLS: "127.0.0.1:0" });
    await use(relay);
    await relay.stop();
  },
});

/** Two people in a video call for which they use nothing but the relay's TURN. */
async function relayed(relay: Relay, somebody: (name: string) => Promise<Person>, transport: Transport): Promise<[Person, Person]> {
  const people: [Person, Person] = [await somebody("anna"), await somebody("bert")];
  const [anna, bert] = people;
  await anna.writeTo("bert");
  await anna.say("hello");
  for (const one of people) {
    await only(one.page, transport);
    await one.page.goto(`${relay.url}#/settings`);
    await one.page.reload();
    await one.page.getByRole("switch", { name: "Through the server only" }).check();
    await one.connected();
  }
  await anna.open("bert");
  await calls(anna, "Video call");
  await button(bert, "Answer with video").click();
  await talks(anna, bert);
  return people;
}

for (const transport of ["udp", "tcp", "tls"] as const) {
  withPeersHere(`with relayed calls only, sound and picture go through the relay's TURN over ${transport}`, async ({ relay, somebody }) => {
    const people = await relayed(relay, somebody, transport);
    const [anna, bert] = people;
    for (const one of people) {
      await hears(one.page);
      await sees(one.page);
      await expect(panel(one).locator("[data-quality]")).toContainText("relayed");
      expect(new Set(await carriers(one.page))).toEqual(new Set([`relay ${transport}`]));
    }
    await button(bert, "Hang up").click();
    await expect(panel(anna)).toContainText("The other side hung up");
  });
}

withPeersHere("a relayed call that loses its relay is made again by itself when the relay is back", async ({ relay, somebody }) => {
  const [anna, bert] = await relayed(relay, somebody, "udp");
  await hears(anna.page);
  await relay.kill();
  for (const one of [anna, bert]) await expect(panel(one)).toContainText("Connection lost, trying again", { timeout: 30_000 });
  await relay.run();
  for (const one of [anna, bert]) await expect(panel(one)).toContainText("Connected", { timeout: 30_000 });
  for (const one of [anna, bert]) {
    await hears(one.page);
    await sees(one.page);
    await expect(panel(one).locator("[data-quality]")).toContainText("relayed");
  }
  await button(bert, "Hang up").click();
  await expect(panel(anna)).toContainText("The other side hung up");
});

test("a screen is shown in the place of the camera, and the camera after it", async ({ somebody }) => {
  const [anna, bert] = await inVoiceCall(somebody);
  await button(anna, "Camera on").click();
  await sees(bert.page);
  await button(anna, "Share screen").click();
  // A screen is never cut to fit.
  await expect(bert.page.locator(".call-remote")).toHaveClass(/contain/);
  await expect.poll(() => difference(bert.page), { timeout: 30_000 }).toBeGreaterThan(60);
  await button(anna, "Stop sharing").click();
  await expect(bert.page.locator(".call-remote")).toBeHidden();
  await button(anna, "Camera on").click();
  await sees(bert.page);
  await expect(bert.page.locator(".call-remote")).not.toHaveClass(/contain/);
  await hears(bert.page);
});

test("another camera and another microphone are taken in the middle of a call", async ({ somebody }) => {
  const [anna, bert] = await inVoiceCall(somebody);
  await button(anna, "Camera on").click();
  await sees(bert.page);
  await button(anna, "Devices").click();
  const used = (): Promise<string | undefined> =>
    anna.page.evaluate(() => {
      const own = document.querySelector<HTMLVideoElement>(".call-own")?.srcObject as MediaStream | null;
      return own?.getVideoTracks()[0]?.label;
    });
  for (const device of ["Camera", "Microphone"]) {
    const choice = panel(anna).getByRole("combobox", { name: device });
    // The browser is asked which there are.
    await expect(choice).toBeVisible();
    const names = await choice.locator("option").allInnerTexts();
    expect(names.length, `there are several of ${names}`).toBeGreaterThan(device === "Camera" ? 1 : 2);
    await choice.selectOption({ index: names.length - 1 });
    if (device === "Camera") await expect.poll(used).toBe(names.at(-1));
  }
  await hears(bert.page);
  await sees(bert.page);
});

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
    await sees(anna.page);
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
