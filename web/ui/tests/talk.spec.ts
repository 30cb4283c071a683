/** Two people talk, whatever happens to the page and to the relay. */
import { expect, test } from "./support.ts";

test("two people register, find each other and talk both ways", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await anna.say("Hello Bert");
  await bert.open("anna");
  await bert.sees("Hello Bert");
  await bert.say("Hello Anna");
  await anna.sees("Hello Anna");
  await expect(anna.line("Hello Bert").locator("[data-mark=read]")).toBeVisible();
});

test("a reload keeps everything", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await anna.say("first");
  await bert.open("anna");
  await bert.sees("first");
  await bert.say("second");
  await anna.sees("second");
  await anna.composer.fill("unfinished");
  await anna.page.goto(`${anna.relay.url}#/settings`);
  await expect(anna.item("bert")).toContainText("Draft: unfinished");
  await anna.page.reload();
  await anna.open("bert");
  await anna.sees("first");
  await anna.sees("second");
  await expect(anna.composer).toHaveValue("unfinished");
  await anna.connected();
  await anna.composer.press("Enter");
  await bert.sees("unfinished");
});

test("texts written while the relay is killed arrive once it is back, once and in order", async ({ relay, somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await anna.say("before");
  await bert.open("anna");
  await bert.sees("before");
  await relay.kill();
  await expect(anna.page.locator(".connection")).not.toHaveClass(/good/);
  await anna.say("while away 1");
  await anna.say("while away 2");
  await expect(anna.line("while away 2").locator("[data-mark=waiting]")).toBeVisible();
  await relay.run();
  await bert.sees("while away 2");
  await bert.say("welcome back");
  await anna.sees("welcome back");
  await expect(anna.page.locator("[data-mark=waiting]")).toHaveCount(0);
  const said = await bert.page.locator(".message .text").allInnerTexts();
  expect(said.map((text) => text.trim())).toEqual(["before", "while away 1", "while away 2", "welcome back"]);
});
