/** What can be done with texts, and how the list and the conversation show it. */
import { Native } from "./native.ts";
import { expect, test } from "./support.ts";

test("a text can be answered, corrected, reacted to, pinned and deleted, and both see it", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await anna.say("shall we meet");
  await bert.open("anna");
  await bert.sees("shall we meet");

  await bert.act("shall we meet", "Reply");
  await expect(bert.page.locator(".about")).toContainText("shall we meet");
  await bert.say("yes, at seven");
  await expect(anna.line("yes, at seven").locator(".reply-to")).toContainText("shall we meet");

  await bert.act("yes, at seven", "Edit");
  await expect(bert.composer).toHaveValue("yes, at seven");
  await bert.say("yes, at eight");
  await expect(anna.line("yes, at eight")).toContainText("edited");
  await expect(anna.line("yes, at seven")).toHaveCount(0);

  await anna.line("yes, at eight").click({ button: "right", position: { x: 8, y: 8 } });
  await anna.page.getByRole("menuitemcheckbox", { name: "React 👍" }).click();
  await expect(bert.line("yes, at eight").locator(".reaction")).toHaveText("👍");
  await bert.line("yes, at eight").locator(".reaction").click();
  await expect(anna.line("yes, at eight").locator(".reaction-count")).toHaveText("2");
  await bert.line("yes, at eight").locator(".reaction").click();
  await expect(anna.line("yes, at eight").locator(".reaction-count")).toHaveCount(0);

  await anna.act("yes, at eight", "Pin");
  await expect(bert.line("yes, at eight").getByRole("img", { name: "Pinned" })).toBeVisible();
  await bert.page.getByRole("link", { name: "Pinned messages" }).click();
  const pins = bert.page.getByRole("complementary", { name: "Pinned messages" });
  await expect(pins.locator(".hit")).toContainText("yes, at eight");
  await pins.locator(".hit").click();
  await expect(bert.line("yes, at eight")).toHaveClass(/lit/);

  await anna.act("shall we meet", "Delete for everybody");
  await anna.page.getByRole("dialog").getByRole("button", { name: "Delete for everybody" }).click();
  await expect(bert.page.locator(".message").first()).toContainText("Message deleted");
});

test("texts are shown with their formatting, and links lead out without saying from where", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await anna.composer.fill("**loud** *soft* ~~gone~~ `code`\nhttps://example.org/a?b=c\n```\nlet x = 1;\n```");
  await anna.composer.press("Enter");
  await bert.open("anna");
  const text = bert.page.locator(".message .text").last();
  await expect(text.locator("strong")).toHaveText("loud");
  await expect(text.locator("em")).toHaveText("soft");
  await expect(text.locator("s")).toHaveText("gone");
  await expect(text.locator("code").first()).toHaveText("code");
  await expect(text.locator("pre")).toContainText("let x = 1;");
  const link = text.getByRole("link", { name: "https://example.org/a?b=c" });
  await expect(link).toHaveAttribute("rel", "noopener noreferrer nofollow");
  await expect(link).toHaveAttribute("target", "_blank");
});

test("the list shows what is unread, also in the title, and filters by it", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  for (const text of ["one", "two", "three"]) await anna.say(text);
  await expect(bert.item("anna").locator(".unread")).toHaveText("3");
  await expect(bert.page).toHaveTitle("(3) Sotto");
  await bert.page.getByRole("button", { name: "Unread" }).click();
  await expect(bert.page.locator(".item")).toHaveCount(1);
  await bert.page.getByRole("button", { name: "Groups" }).click();
  await expect(bert.page.locator(".item")).toHaveCount(0);
  await bert.page.getByRole("button", { name: "All", exact: true }).click();
  await bert.open("anna");
  await expect(bert.item("anna").locator(".unread")).toHaveCount(0);
  await expect(bert.page).toHaveTitle("Sotto");
});

test("one sees who is here, who types, and what became of one's own texts", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await anna.say("hello");
  await expect(anna.page.locator(".chat-detail")).toHaveText("online");
  await expect(anna.item("bert").locator(".here-dot")).toBeVisible();
  await expect(anna.line("hello").locator("[data-mark=delivered]")).toBeVisible();
  await bert.open("anna");
  await expect(anna.line("hello").locator("[data-mark=read]")).toBeVisible();
  await bert.composer.pressSequentially("I am typing");
  await expect(anna.page.locator(".typing-line")).toContainText("bert");
  await expect(anna.page.locator(".typing-line")).toContainText("is typing");
  await anna.act("hello", "Who has seen it");
  await expect(anna.page.getByRole("dialog")).toContainText("Read");
  await expect(anna.page.getByRole("dialog")).toContainText("bert");
  await anna.page.keyboard.press("Escape");
  await bert.context.close();
  // A browser that is gone without a word is noticed by its silence: after 29 s at the latest.
  await expect(anna.page.locator(".chat-detail")).toHaveText("offline", { timeout: 40_000 });
});

test("words before the caret complete to members and emoji, and the picker finds emoji", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.create("Group", "lake house", ["bert"]);
  await anna.composer.pressSequentially("hey @be");
  await expect(anna.page.getByRole("option", { name: "bert" })).toBeVisible();
  await anna.composer.press("Tab");
  await expect(anna.composer).toHaveValue("hey @bert ");
  await anna.composer.pressSequentially(":tad");
  await expect(anna.page.getByRole("option", { name: ":tada:" })).toBeVisible();
  await anna.composer.press("Enter");
  await expect(anna.composer).toHaveValue("hey @bert 🎉 ");
  await anna.page.getByRole("button", { name: "Emoji" }).click();
  const picker = anna.page.getByRole("dialog", { name: "Emoji" });
  await picker.getByRole("searchbox").fill("rocket");
  await picker.getByRole("button", { name: "rocket" }).click();
  await expect(anna.composer).toHaveValue("hey @bert 🎉 🚀");
  await anna.composer.press("Enter");
  await bert.open("lake house");
  await bert.sees("hey @bert 🎉 🚀");
});

test("a search finds texts in all conversations and leads to their place", async ({ somebody }) => {
  const anna = await somebody("anna");
  await somebody("bert");
  await anna.writeTo("bert");
  await anna.say("the boat needs new paint");
  for (let count = 0; count < 40; count += 1) await anna.say(`line ${count}`);
  await anna.create("Group", "lake house", ["bert"]);
  await anna.say("who paints the boat");
  await anna.page.getByRole("searchbox", { name: "Search conversations and messages" }).fill("boat");
  const hits = anna.page.locator(".sidebar .hit");
  await expect(hits).toHaveCount(2);
  await expect(hits.first().locator("mark")).toHaveText("boat");
  await hits.filter({ hasText: "new paint" }).click();
  await expect(anna.page.locator(".chat-title")).toContainText("bert");
  await expect(anna.line("the boat needs new paint")).toBeVisible();
  await expect(anna.line("the boat needs new paint")).toBeInViewport();
  await anna.page.getByRole("link", { name: "Search in this conversation" }).click();
  const panel = anna.page.getByRole("complementary", { name: "Search in this conversation" });
  await panel.getByRole("searchbox").fill("line 7");
  await expect(panel.locator(".hit")).toContainText("line 7");
});

test("a text that is too long is not sent, and one that is long is folded", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await anna.composer.fill("long ".repeat(20_000));
  await expect(anna.page.getByRole("alert")).toContainText("Too long");
  await expect(anna.page.getByRole("button", { name: "Send" })).toBeDisabled();
  await anna.say("word ".repeat(2_000).trim());
  await bert.open("anna");
  await bert.page.getByRole("button", { name: "Show the whole message" }).click();
  await expect(bert.page.getByRole("button", { name: "Show less" })).toBeVisible();
});

test("disappearing messages are switched on for both, and say so", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await anna.page.getByRole("button", { name: "More", exact: true }).click();
  await anna.page.getByRole("menuitem", { name: "Disappearing messages" }).click();
  await anna.page.getByRole("dialog").getByLabel("Disappearing messages").selectOption({ label: "30 seconds" });
  await anna.page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await bert.open("anna");
  await expect(bert.page.locator(".notice").last()).toContainText("disappear after 30 seconds");
  await bert.say("not for ever");
  await expect(anna.line("not for ever").getByRole("img", { name: "disappears in" })).toBeVisible();
});

test("texts that are written faster than they are stored all arrive, once and in order", async ({ relay, somebody }) => {
  const terminal = await Native.register(relay, "terry");
  const anna = await somebody("anna");
  await anna.writeTo("terry");
  const texts = Array.from({ length: 40 }, (_, count) => `quick ${count}.`);
  await anna.page.keyboard.type(texts.join("\n"));
  await anna.page.keyboard.press("Enter");
  await expect(anna.composer).toHaveValue("");
  await expect.poll(() => terminal.texts("anna")).toEqual(texts);
  terminal.leave();
});
