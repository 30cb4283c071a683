/** Whatever people write stays text, wherever it is shown. The fixture fails the test at a dialog or a breach of the policy. */
import { expect, type Person, test } from "./support.ts";
import { hostile, hostileNames } from "./hostile.ts";

/** Nothing but what our own components draw. */
async function onlyOurs(person: Person): Promise<void> {
  const found = await person.page.evaluate(() => ({
    strange: document.querySelectorAll(
      "script:not([src]), iframe, object, embed, base, style, math, video, audio, marquee, img, [onerror], [onload], [onclick], [onfocus]",
    ).length,
    links: [...document.querySelectorAll<HTMLAnchorElement>("a[href]")]
      .map((link) => link.protocol)
      .filter((protocol) => !/^https?:$/.test(protocol)),
  }));
  expect(found).toEqual({ strange: 0, links: [] });
}

test("hostile texts are shown as text in messages, answers, drafts, lists, pins and searches", async ({ somebody }) => {
  test.setTimeout(400_000);
  expect(hostile.length).toBeGreaterThanOrEqual(100);
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await bert.open("anna");
  for (const [count, text] of hostile.entries()) {
    await anna.composer.fill(text);
    if (!(await anna.page.getByRole("button", { name: "Send" }).isEnabled())) continue;
    await anna.page.getByRole("button", { name: "Send" }).click();
    await expect(anna.composer).toHaveValue("");
    if (count % 20 === 0) {
      await onlyOurs(anna);
      await onlyOurs(bert);
    }
  }
  await anna.say("the end of it");
  await bert.sees("the end of it");
  // Drawn while scrolling through all of it, and nothing is wider than the screen.
  for (let step = 0; step < 40; step += 1) {
    await bert.page.locator(".scroller").hover();
    await bert.page.mouse.wheel(0, -900);
    const wide = await bert.page.locator(".scroller").evaluate((element) => element.scrollWidth - element.clientWidth);
    expect(wide).toBeLessThanOrEqual(1);
  }
  await onlyOurs(bert);
  const literal = "<img src=x onerror=alert(1)>";
  await anna.say(literal);
  await bert.page.getByRole("button", { name: "To the newest message" }).click();
  await expect(bert.line(literal).last()).toBeVisible();
  await bert.act(/^<img src=x onerror=alert/, "Reply");
  await bert.say(literal);
  await expect(anna.page.locator(".reply-to").last()).toContainText(literal);
  await bert.act("the end of it", "Pin");
  await bert.composer.fill(literal);
  await bert.page.goto(`${bert.relay.url}#/settings`);
  await expect(bert.item("anna")).toContainText(literal);
  await bert.page.getByRole("searchbox", { name: "Search conversations and messages" }).fill("onerror");
  await expect(bert.page.locator(".hit").first()).toBeVisible();
  await onlyOurs(bert);
  await onlyOurs(anna);
});

test("hostile names are shown as text in lists, heads, notices, menus, dialogs and the title", async ({ somebody }) => {
  test.setTimeout(400_000);
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.create("Group", "start", ["bert"]);
  await expect(bert.item("start")).toBeVisible();
  await bert.page.locator(".item").first().click();
  for (const name of hostileNames) {
    await anna.page.getByRole("button", { name: "More", exact: true }).click();
    await anna.page.getByRole("menuitem", { name: "Rename" }).click();
    const dialog = anna.page.getByRole("dialog");
    await dialog.getByRole("textbox", { name: "Name" }).fill(name);
    await dialog.getByRole("button", { name: "Save" }).click();
    // The relay may refuse a name; then the sentence says so and the dialog stays.
    await expect(dialog.locator(".failure").or(anna.page.locator("body:not(:has(dialog))")).first()).toBeAttached();
    if (await dialog.isVisible()) await anna.page.keyboard.press("Escape");
  }
  await anna.page.locator(".chat-who").click();
  await anna.page.keyboard.press("Control+k");
  await onlyOurs(anna);
  await onlyOurs(bert);
});

test("hostile input in fields of the first screen does nothing but fail", async ({ browser, relay }) => {
  const { visit } = await import("./support.ts");
  const anna = await visit(browser, relay, "anna");
  await anna.page.getByRole("tab", { name: "Sign in" }).click();
  for (const text of hostileNames.slice(0, 12)) {
    await anna.page.getByRole("textbox", { name: "Username or e-mail" }).fill(text);
    await anna.page.getByRole("textbox", { name: "Password" }).fill(text.padEnd(8, "x"));
    await anna.page.getByRole("button", { name: "Sign in" }).click();
    await expect(anna.page.getByRole("alert")).not.toBeEmpty();
    await onlyOurs(anna);
  }
  await anna.page.goto(`${relay.url}#/i/${encodeURIComponent("<img src=x onerror=alert(1)>")}`);
  await anna.page.reload();
  await onlyOurs(anna);
  expect(anna.faults).toEqual([]);
  await anna.context.close();
});
