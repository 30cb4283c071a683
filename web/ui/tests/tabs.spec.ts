/** Several tabs are one client. */
import { expect, test } from "./support.ts";

test("two tabs show the same, and closing the one that leads while it sends loses and doubles nothing", async ({ relay, somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await anna.say("from the first tab");
  await bert.open("anna");
  await bert.sees("from the first tab");
  const second = await anna.context.newPage();
  anna.watch(second);
  await second.goto(relay.url);
  await second.locator(".item").click();
  await expect(second.locator(".message").filter({ hasText: "from the first tab" })).toBeVisible();
  const composer = second.getByRole("textbox", { name: "Message", exact: true });

  // The first tab was here first, so it leads. It is closed with its text on the page, and that of the other just asked for.
  await anna.composer.fill("sent by the tab that leads");
  await anna.composer.press("Enter");
  await anna.sees("sent by the tab that leads");
  await composer.fill("sent by the other tab meanwhile");
  await composer.press("Enter");
  await anna.page.close();
  await expect(second.locator(".message").filter({ hasText: "sent by the other tab" })).toBeVisible();
  await expect(second.locator("[data-mark=waiting]")).toHaveCount(0);
  await composer.fill("and one more");
  await composer.press("Enter");
  await bert.sees("and one more");
  await bert.sees("sent by the other tab meanwhile");
  await bert.say("all here");
  await expect(second.locator(".message").filter({ hasText: "all here" })).toBeVisible();
  const said = ["from the first tab", "sent by the tab that leads", "sent by the other tab meanwhile", "and one more", "all here"];
  for (const page of [bert.page, second])
    expect((await page.locator(".message .text").allInnerTexts()).map((text) => text.trim())).toEqual(said);
});
