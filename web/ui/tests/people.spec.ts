/** Groups, rooms, invites, members, and knowing who somebody is. */
import { expect, register, test, visit } from "./support.ts";

test("a group is made, named anew, gets members with roles, loses one, and is left", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  const clara = await somebody("clara");
  await anna.create("Group", "lake house", ["bert"]);
  await bert.open("lake house");
  await expect(bert.page.locator(".chat-detail")).toContainText("2 members");

  await anna.page.locator(".chat-who").click();
  const details = anna.page.getByRole("complementary", { name: "Details" });
  await details.getByLabel("Add people").fill("clara");
  await details.getByRole("button", { name: "Add people" }).click();
  await expect(details.locator(".person")).toHaveCount(3);
  await clara.open("lake house");
  await clara.say("thank you");
  await bert.sees("thank you");

  await details.getByRole("button", { name: "Actions for bert" }).click();
  await anna.page.getByRole("menuitem", { name: "Make a moderator" }).click();

  await details.getByRole("button", { name: "Rename" }).click();
  await anna.page.getByRole("dialog").getByLabel("Name").fill("mountain hut");
  await anna.page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await expect(bert.page.locator(".chat-title")).toContainText("mountain hut");

  await details.getByRole("button", { name: "Actions for clara" }).click();
  await anna.page.getByRole("menuitem", { name: "Remove from the conversation" }).click();
  await anna.page.getByRole("dialog").getByRole("button", { name: "Remove from the conversation" }).click();
  await expect(clara.page.locator(".standing")).toContainText("no longer a member");
  await expect(bert.page.locator(".notice").last()).toContainText("removed");

  await bert.page.getByRole("button", { name: "More", exact: true }).click();
  await bert.page.getByRole("menuitem", { name: "Leave conversation" }).click();
  await bert.page.getByRole("dialog").getByRole("button", { name: "Leave conversation" }).click();
  await expect(bert.page.locator(".standing")).toBeVisible();
  await expect(details.locator(".person")).toHaveCount(1);
});

test("a listed room is found and joined", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.create("Room", "general", [], true);
  await anna.say("welcome, everybody");
  await bert.page.getByRole("button", { name: "New conversation" }).first().click();
  await bert.page.getByRole("dialog").getByRole("tab", { name: "Join" }).click();
  await bert.page.getByRole("dialog").getByRole("button", { name: "Join general" }).click();
  await expect(bert.composer).toBeVisible();
  await bert.sees("welcome, everybody");
  await bert.say("hello");
  await anna.sees("hello");
});

test("an invite link with its QR code brings in somebody who has no account yet", async ({ browser, relay, somebody }) => {
  const anna = await somebody("anna");
  await anna.create("Group", "lake house");
  await anna.page.getByRole("button", { name: "More", exact: true }).click();
  await anna.page.getByRole("menuitem", { name: "Invite with a link" }).click();
  const dialog = anna.page.getByRole("dialog");
  await dialog.getByLabel("How many people").selectOption("5");
  await dialog.getByRole("button", { name: "Make a link" }).click();
  await expect(dialog.getByRole("img", { name: "QR code of the link" })).toBeVisible();
  await expect(dialog.locator(".copy-text")).toHaveCount(3);
  const [web, node] = await dialog.locator(".copy-text").allInnerTexts();
  expect(web).toContain("#/i/");
  expect(node).toContain("sotto://");
  const bert = await visit(browser, relay, "bert");
  await register(bert, new URL(web ?? "").hash);
  await expect(bert.page.locator(".chat-detail")).toContainText("2 members");
  await bert.say("here I am");
  await anna.page.keyboard.press("Escape");
  await anna.sees("here I am");

  const clara = await somebody("clara");
  await clara.page.goto(relay.url + new URL(web ?? "").hash);
  await clara.page.getByRole("dialog").getByRole("button", { name: "Join" }).click();
  await expect(clara.page.locator(".chat-detail")).toContainText("3 members");
  await bert.context.close();
});

test("a relay that asks for invites takes nobody without one", async ({ browser }) => {
  const { Relay } = await import("./relay.ts");
  const relay = await Relay.start({ SOTTO_RELAY_REGISTRATION: "invite" });
  const anna = await visit(browser, relay, "anna");
  await expect(anna.page.getByRole("textbox", { name: "Invite code" })).toBeVisible();
  await anna.page.getByRole("textbox", { name: "Username" }).fill("anna");
  await anna.page.getByRole("textbox", { name: "E-mail" }).fill("anna@example.org");
  await anna.page.getByRole("textbox", { name: "Password" }).fill("correct horse battery");
  await anna.page.getByRole("textbox", { name: "Invite code" }).fill("nonsense");
  await anna.page.getByRole("button", { name: "Create account" }).click();
  await expect(anna.page.getByRole("alert")).not.toBeEmpty();
  await anna.context.close();
  await relay.stop();
});

test("two people compare the same safety number, and the mark stays", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await anna.say("hello");
  await bert.open("anna");
  const digits: string[] = [];
  for (const person of [anna, bert]) {
    await person.page.getByRole("button", { name: "More", exact: true }).click();
    await person.page.getByRole("menuitem", { name: "Compare safety number" }).click();
    const dialog = person.page.getByRole("dialog", { name: "Safety number" });
    await expect(dialog.locator(".digits li")).toHaveCount(12);
    await expect(dialog.getByRole("img", { name: "QR code of your identity" })).toBeVisible();
    digits.push((await dialog.locator(".digits li").allInnerTexts()).join(" "));
  }
  expect(digits[0]).toMatch(/^(\d{5} ){11}\d{5}$/);
  expect(digits[0]).toBe(digits[1]);
  await anna.page.getByRole("button", { name: "Mark as compared" }).click();
  await expect(anna.page.getByRole("dialog")).toContainText("You compared this number");
  await anna.page.keyboard.press("Escape");
  await expect(anna.page.locator(".chat-title").getByRole("img", { name: "verified" })).toBeVisible();
  await anna.page.reload();
  await expect(anna.page.locator(".chat-title").getByRole("img", { name: "verified" })).toBeVisible();
});

test("nobody is found by a name that nobody has, and the sentence says what to do", async ({ somebody }) => {
  const anna = await somebody("anna");
  await anna.page.getByRole("button", { name: "New conversation" }).first().click();
  const dialog = anna.page.getByRole("dialog");
  await dialog.getByLabel("Username").fill("nobody");
  await dialog.getByRole("button", { name: "Write to them" }).click();
  await expect(dialog.getByRole("alert")).toContainText("Check its spelling");
});
