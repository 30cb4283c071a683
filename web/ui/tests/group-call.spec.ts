/** Calls of groups between real browsers, with a tone and a colour that are looked for at the other ends. */
import type { Page } from "@playwright/test";
import { COLOUR, difference, heard, hears, sees, tileOf, TONE_HZ, WITH_DEVICES } from "./media.ts";
import { sound } from "./screens.ts";
import { expect, type Person, test } from "./support.ts";

test.use({ launchOptions: WITH_DEVICES });

const GROUP = "lake house";

const panel = (who: Person) => who.page.locator("section.call");
const button = (who: Person, name: string) => panel(who).getByRole("button", { name, exact: true });
const bar = (who: Person) => who.page.locator(".group-bar");
const tile = (who: Person, name: string) => panel(who).locator(".tile").filter({ hasText: name });
const notice = (who: Person) => who.page.locator(".notice").last();

async function hearsFrom(who: Person, other: Person): Promise<void> {
  await hears(who.page, heard, TONE_HZ, tileOf(other.name));
}

async function seesFrom(who: Person, other: Person): Promise<void> {
  await sees(who.page, COLOUR, tileOf(other.name));
}

async function removes(who: Person, other: Person): Promise<void> {
  const { page } = who;
  await page.locator(".chat-who").press("Enter");
  await page.getByRole("button", { name: `Actions for ${other.name}` }).press("Enter");
  await page.getByRole("menuitem", { name: "Remove from the conversation" }).press("Enter");
  await page.getByRole("dialog").getByRole("button", { name: "Remove from the conversation" }).press("Enter");
}

/** A page whose frames are sealed and opened with other keys than the members', as long as it is told so. */
async function withWrongKeys(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (said: { type?: string; baseKey?: Uint8Array }, more?: StructuredSerializeOptions | Transferable[]) {
      if (said.type === "key" && said.baseKey && "wrongKeys" in globalThis) said.baseKey[0] = (said.baseKey[0] ?? 0) ^ 1;
      post.call(this, said, more as StructuredSerializeOptions);
    };
  });
  await page.reload();
}

const useWrongKeys = (page: Page, wrong: boolean): Promise<void> =>
  page.evaluate((wrong) => {
    if (wrong) Object.assign(globalThis, { wrongKeys: true });
    else delete (globalThis as { wrongKeys?: true }).wrongKeys;
  }, wrong);

test("three talk and see each other in a group, only members with its keys do, and who is removed is out", async ({ somebody }) => {
  const anna = await somebody("anna", { reducedMotion: "reduce" });
  const bert = await somebody("bert", { colorScheme: "dark" });
  const clara = await somebody("clara", { viewport: { width: 360, height: 740 } });
  const all = [anna, bert, clara];
  await withWrongKeys(clara.page);
  await anna.create("Group", GROUP, ["bert", "clara"]);
  await anna.say("shall we talk?");
  for (const one of [bert, clara]) {
    await one.open(GROUP);
    await one.sees("shall we talk?");
  }

  // It rings at everybody; one joins, one declines and joins later.
  await anna.page.getByRole("button", { name: "Video call" }).click();
  await expect(panel(anna)).toContainText("Nobody else is here yet");
  for (const one of [bert, clara]) await expect(panel(one)).toContainText(`anna calls ${GROUP} with video`);
  await sound(clara, "it rings");
  await button(bert, "Join with video").press("Enter");
  await button(clara, "Decline").click();
  for (const [one, other] of [[anna, bert], [bert, anna]] as const) {
    await hearsFrom(one, other);
    await seesFrom(one, other);
  }
  await expect(bar(clara)).toContainText(/A call goes on.+2 people/);
  await expect(panel(clara)).toBeHidden();

  // Without the keys nothing opens, in neither direction.
  await useWrongKeys(clara.page, true);
  await bar(clara).getByRole("button", { name: "Join with video" }).click();
  for (const [one, other] of [[clara, anna], [clara, bert], [anna, clara], [bert, clara]] as const)
    await expect(tile(one, other.name)).toContainText("Waiting for the key", { timeout: 30_000 });
  for (const [one, other] of [[clara, anna], [anna, clara]] as const) {
    expect(await heard(one.page, tileOf(other.name))).toBe(0);
    expect(await difference(one.page, COLOUR, tileOf(other.name)), "no picture").toBeGreaterThan(60);
  }
  await button(clara, "Leave").click();
  await useWrongKeys(clara.page, false);
  await expect(tile(anna, "clara")).toHaveCount(0);

  // With them everybody hears and sees everybody.
  await bar(clara).getByRole("button", { name: "Join with video" }).click();
  for (const one of all)
    for (const other of all) {
      if (other === one) continue;
      await hearsFrom(one, other);
      await seesFrom(one, other);
      await expect(tile(one, other.name)).toContainText(/direct · \d+ ms/);
    }
  for (const one of all) await expect(panel(one)).toContainText("3 people");
  for (const one of [bert, clara]) await sound(one, `a call of three, ${one.name}`);
  expect(await clara.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
  await button(bert, "Mute").press("Enter");
  await expect(tile(anna, "bert").getByRole("img", { name: "Muted" })).toBeVisible();
  await expect.poll(() => heard(clara.page, tileOf("bert"))).toBe(0);
  await button(bert, "Unmute").press("Enter");

  // Whoever is removed from the group is out of the call, and the others go on.
  await removes(anna, clara);
  await expect(panel(clara)).toContainText("You are not in this group any more");
  await expect(clara.page.locator("video")).toHaveCount(0);
  for (const [one, other] of [[anna, bert], [bert, anna]] as const) {
    await expect(tile(one, "clara")).toHaveCount(0);
    await expect(panel(one)).toContainText("2 people");
    await hearsFrom(one, other);
    await seesFrom(one, other);
  }

  // The last to leave ends it, and it stands in the history.
  await button(anna, "Leave").click();
  await expect(panel(anna)).toContainText("You left the call");
  await expect(bar(anna)).toContainText("1 person");
  await button(bert, "Leave").click();
  for (const one of [anna, bert]) {
    await expect(notice(one)).toContainText(/Group video call, \d+/);
    await expect(bar(one)).toBeHidden();
  }
});
