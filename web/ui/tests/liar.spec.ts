/**
 * What a page shows when its relay lies: what was said and by whom, or that something is wrong; never something that nobody said.
 * One person's browser comes to a lying relay, everybody else's to the honest one behind it.
 */
import type { Browser } from "@playwright/test";
import { Liar } from "./liar.ts";
import { Native } from "./native.ts";
import type { Relay } from "./relay.ts";
import { expect, type Person, registered, test, visit } from "./support.ts";

/** Somebody whose relay lies, once it is told to. */
async function victim(browser: Browser, relay: Relay, work: (bert: Person, liar: Liar) => Promise<void>): Promise<void> {
  const liar = await Liar.before(relay);
  try {
    const bert = await visit(browser, liar, "bert");
    await registered(bert, () => work(bert, liar));
  } finally {
    liar.stop();
  }
}

const alarm = (person: Person, type: string) => person.page.locator(`.banner[data-alarm=${type}]`);

const texts = async (person: Person): Promise<string[]> =>
  (await person.page.locator(".message .text").allInnerTexts()).map((text) => text.trim());

test("what a relay repeats, swaps or drops is shown once and in order", async ({ browser, relay, somebody }) => {
  const anna = await somebody("anna");
  await victim(browser, relay, async (bert, liar) => {
    await anna.writeTo("bert");
    await anna.say("first");
    await bert.open("anna");
    await bert.sees("first");
    await liar.tell("repeat");
    await anna.say("said twice by the relay");
    await bert.sees("said twice by the relay");
    await liar.hasTold("repeat");
    await liar.tell("reorder");
    await anna.say("held back");
    await liar.hasTold("reorder");
    await anna.say("shown before it");
    await bert.sees("shown before it");
    await bert.sees("held back");
    await liar.tell("drop");
    await anna.say("dropped");
    await liar.hasTold("drop");
    // What one writes oneself comes after it, so its place shows that something is missing.
    await bert.say("an answer");
    await bert.sees("dropped");
    await liar.tell("none");
    await anna.say("last");
    await bert.sees("last");
    const said = ["first", "said twice by the relay", "held back", "shown before it", "dropped", "an answer", "last"];
    await expect.poll(() => texts(bert)).toEqual(said);
    await expect.poll(() => texts(anna)).toEqual(said);
    await expect(bert.page.locator("[data-alarm]")).toHaveCount(0);
    await expect(anna.page.locator("[data-alarm]")).toHaveCount(0);
  });
});

test("a text that the relay altered is read from its copy or shown as missing, and the others hear of it", async ({
  browser,
  relay,
  somebody,
}) => {
  const anna = await somebody("anna");
  await victim(browser, relay, async (bert, liar) => {
    await anna.writeTo("bert");
    await anna.say("first");
    await bert.open("anna");
    await bert.sees("first");
    await liar.tell("alter");
    await anna.say("altered on its way");
    await liar.hasTold("alter");
    await bert.sees("altered on its way");
    // His next words say which log he was shown.
    await bert.say("an answer");
    await anna.sees("an answer");
    await expect(alarm(anna, "log_tampered")).toBeVisible();
    await liar.tell("alter-both");
    await anna.say("altered with its copy");
    await liar.hasTold("alter-both");
    // Whoever sent it is asked for it once more, and waited for 15 s.
    await expect(bert.page.locator(".faint-text").last()).toBeVisible({ timeout: 60_000 });
    await liar.tell("none");
    await anna.say("the end");
    await bert.sees("the end");
    expect((await texts(bert)).filter((text) => /first|altered|answer|end/.test(text)).slice(0, 3)).toEqual([
      "first",
      "altered on its way",
      "an answer",
    ]);
  });
});

test("who reads at the beginning of a conversation stays there while a text is read from its copy", async ({ browser, relay }) => {
  const anna = await Native.register(relay, "anna");
  await victim(browser, relay, async (bert, liar) => {
    await anna.sends("@bert", Array.from({ length: 60 }, (_, count) => `line ${count}`));
    await bert.open("anna");
    await bert.sees("line 59");
    const beginning = bert.page.locator(".beginning");
    await expect(async () => {
      await bert.page.locator(".scroller").hover();
      await bert.page.mouse.wheel(0, -3_000);
      await expect(beginning).toBeInViewport({ timeout: 500 });
    }).toPass();
    await liar.tell("alter");
    await anna.sends("@bert", ["altered on its way"]);
    await liar.hasTold("alter");
    await bert.sees("altered on its way");
    await expect(beginning).toBeInViewport();
    await expect(bert.line("line 0")).toBeInViewport();
  });
  anna.leave();
});

test("nobody is shown as having said what another said", async ({ browser, relay, somebody }) => {
  const anna = await somebody("anna");
  const clara = await somebody("clara");
  await victim(browser, relay, async (bert, liar) => {
    await anna.create("Group", "lake house", ["bert", "clara"]);
    await anna.say("anna is here");
    await clara.open("lake house");
    await clara.say("clara is here");
    await bert.open("lake house");
    await bert.sees("clara is here");
    await liar.tell("relabel");
    await anna.say("send me the money");
    await liar.hasTold("relabel");
    await bert.sees("send me the money");
    await expect(bert.line("send me the money")).toHaveCount(1);
    await expect(bert.line("send me the money")).toHaveAttribute("aria-label", /^anna/);
    // Counted anew: the one of before may be fetched again.
    await liar.tell("relabel");
    await clara.say("what money?");
    await clara.sees("what money?");
    await expect(clara.page.locator("[data-mark=waiting]")).toHaveCount(0);
    await liar.hasTold("relabel");
    await liar.tell("none");
    await clara.say("are you there?");
    await bert.sees("are you there?");
    // Under a number that anna has used already it counts as a repetition; that clara's text is missing is told by her next one.
    await expect(alarm(bert, "log_tampered")).toBeVisible();
    await expect(bert.page.locator("article:not([aria-label^=clara])").filter({ hasText: "what money?" })).toHaveCount(0);
    await expect(bert.line("are you there?")).toHaveAttribute("aria-label", /^clara/);
  });
});

test("a relay that takes back what was read is named as one that lies", async ({ browser, relay, somebody }) => {
  const anna = await somebody("anna");
  await victim(browser, relay, async (bert, liar) => {
    await anna.writeTo("bert");
    await anna.say("first");
    await anna.say("second");
    await bert.open("anna");
    await bert.sees("second");
    await liar.tell("rewind");
    liar.cut();
    await liar.hasTold("rewind");
    await expect(alarm(bert, "log_tampered")).toBeVisible();
    await expect(alarm(bert, "log_tampered")).toContainText("has read up to");
    await bert.sees("second");
  });
});

test("keys that the relay made itself let nobody in, and whoever adds is warned", async ({ browser, relay, somebody }) => {
  const anna = await somebody("anna");
  await victim(browser, relay, async (bert, liar) => {
    await anna.writeTo("bert");
    await anna.say("first");
    await bert.open("anna");
    await bert.sees("first");
    await liar.tell("swap");
    await bert.create("Group", "swapped", ["anna"]);
    await liar.hasTold("swap");
    await expect(alarm(bert, "log_tampered")).toContainText("does not verify");
    await liar.tell("forge");
    await bert.page.getByRole("button", { name: "New conversation" }).first().click();
    const dialog = bert.page.getByRole("dialog");
    await dialog.getByRole("tab", { name: "Group" }).click();
    await dialog.getByLabel("Name of the group").fill("forged");
    await dialog.getByRole("textbox", { name: "Members" }).fill("anna");
    await dialog.getByRole("button", { name: "Create", exact: true }).click();
    await liar.hasTold("forge");
    await expect(alarm(bert, "identity_changed")).toContainText("anna");
    // The honest part of the relay lets no device in that it does not know.
    await expect(dialog.locator(".failure")).toContainText("is not the one it registered");
    await liar.tell("none");
    await bert.page.keyboard.press("Escape");
    await bert.open("forged");
    await expect(bert.page.locator(".chat-detail")).toContainText("1 member");
    await bert.open("anna");
    await bert.say("is this you?");
    await anna.sees("is this you?");
    await expect(anna.item("forged")).toHaveCount(0);
  });
});
