/**
 * Every screen: axe finds nothing wrong in either theme. With `SOTTO_SCREENS=1` the main ones are also drawn into
 * `docs/screens/web`, on a phone, on a wide screen and in the dark.
 */
import { draw, sound } from "./screens.ts";
import { expect, register, test, visit } from "./support.ts";

const SAID: [who: "anna" | "bert" | "clara", text: string][] = [
  ["bert", "Has anybody booked the **lake house** yet?"],
  ["anna", "Yes! From Friday to Monday. I paid the deposit this morning."],
  ["clara", "Wonderful 🎉"],
  ["clara", "I can bring the boat if somebody helps me with the trailer. The way down to the water is steep, remember last year?"],
  ["bert", "I'll help. Route: https://example.org/maps/lake-house"],
  ["anna", "The key is in the box by the door, code `4711`"],
];

for (const theme of ["light", "dark"] as const) {
  test(`axe finds nothing on the screens of a wide window, ${theme}`, async ({ browser, relay }) => {
    test.setTimeout(300_000);
    const options = { colorScheme: theme, reducedMotion: "reduce" } as const;
    const anna = await visit(browser, relay, "anna", options);
    await anna.page.getByRole("tab", { name: "Recover" }).click();
    await sound(anna, "recover");
    await anna.page.getByRole("tab", { name: "Sign in" }).click();
    await sound(anna, "sign in");
    await anna.page.getByRole("tab", { name: "Register" }).click();
    await sound(anna, "register");
    await draw(anna, `welcome-${theme}`);
    await register(anna);
    await sound(anna, "an empty list");
    relay.command("account", "role", "anna", "operator");

    const people = { anna, bert: await visit(browser, relay, "bert", options), clara: await visit(browser, relay, "clara", options) };
    await register(people.bert);
    await register(people.clara);
    await anna.writeTo("clara");
    await anna.say("See you on Friday");
    await anna.writeTo("bert");
    await anna.say("Do you have the trailer?");
    await anna.create("Room", "general", [], true);
    await anna.create("Group", "Lake house weekend", ["bert", "clara"]);
    await people.bert.open("Lake house weekend");
    await people.clara.open("Lake house weekend");
    for (const [who, text] of SAID) {
      await people[who].say(text);
      await anna.sees(text.slice(-12).replaceAll(/[`*]/g, ""));
    }
    await people.bert.act("Wonderful", "Reply");
    await people.bert.say("You will love the sauna");
    await anna.act("The key is in the box", "Pin");
    await anna.line("From Friday").locator(".bubble").first().click({ button: "right", position: { x: 8, y: 8 } });
    await sound(anna, "the menu of a message");
    await anna.page.keyboard.press("Escape");
    await people.clara.line("From Friday").locator(".bubble").first().click({ button: "right", position: { x: 8, y: 8 } });
    await people.clara.page.getByRole("menuitemcheckbox", { name: "React ❤️" }).click();
    await expect(anna.page.locator(".reaction")).toBeVisible();
    await people.clara.page.goto(`${relay.url}#/`);
    await people.clara.open("anna");
    await people.clara.say("I'll bring bread and cheese");
    await anna.sees("You will love the sauna");
    await expect(anna.item("clara").locator(".unread")).toHaveText("1");
    await sound(anna, "a conversation");
    await anna.composer.focus();
    await draw(anna, `conversation-${theme}`);

    const { page } = anna;
    const here = page.url();
    for (const panel of ["info", "pins", "search"]) {
      await page.goto(`${here}/${panel}`);
      await expect(page.locator(".panel")).toBeVisible();
      await sound(anna, panel);
      if (panel === "info") await draw(anna, `details-${theme}`);
    }
    for (const tab of ["Person", "Group", "Room", "Join"]) {
      await page.keyboard.press("Alt+n");
      await page.getByRole("dialog").getByRole("tab", { name: tab }).click();
      await sound(anna, `new: ${tab}`);
      await page.keyboard.press("Escape");
      await expect(page.getByRole("dialog")).toHaveCount(0);
    }
    await page.keyboard.press("Control+k");
    await expect(page.getByRole("option").first()).toBeVisible();
    await sound(anna, "the switcher");
    await page.keyboard.press("Escape");
    await anna.open("bert");
    await page.getByRole("button", { name: "Emoji" }).click();
    await expect(page.getByRole("button", { name: "grinning face", exact: true })).toBeVisible();
    await sound(anna, "the emoji picker");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "More", exact: true }).click();
    await page.getByRole("menuitem", { name: "Compare safety number" }).click();
    await expect(page.locator(".digits li")).toHaveCount(12);
    await sound(anna, "the safety number");
    await draw(anna, `safety-number-${theme}`);
    await page.keyboard.press("Escape");
    await page.getByRole("searchbox", { name: "Search conversations and messages" }).fill("trailer");
    await expect(page.locator(".hit").first()).toBeVisible();
    await sound(anna, "a search");
    await page.getByRole("button", { name: "Clear" }).click();
    await page.goto(`${relay.url}#/settings`);
    await expect(page.getByText("This session", { exact: true })).toBeVisible();
    await sound(anna, "settings");
    await draw(anna, `settings-${theme}`);
    await page.locator("body").press("?");
    await expect(page.getByRole("dialog")).toBeVisible();
    await sound(anna, "the keys");
    await page.keyboard.press("Escape");
    await relay.kill();
    await expect(page.locator(".connection")).toHaveClass(/away/);
    await sound(anna, "without the relay");
    for (const person of Object.values(people)) {
      expect(person.faults).toEqual([]);
      await person.context.close();
    }
  });
}

test("a button's words are never shown on the ground of another state of it", async ({ browser, relay }) => {
  for (const reducedMotion of ["reduce", "no-preference"] as const) {
    const anna = await visit(browser, relay, "anna", { reducedMotion });
    await anna.page.getByRole("tab", { name: "Recover" }).click();
    const button = anna.page.locator("button[type=submit]");
    await expect(button).toBeDisabled();
    await expect.poll(() => button.evaluate((shown) => shown.getAnimations().length)).toBe(0);
    const [before, first] = await button.evaluate((shown) => {
      const colours = (): string => `${getComputedStyle(shown).color} on ${getComputedStyle(shown).backgroundColor}`;
      const before = colours();
      document.querySelector<HTMLElement>("#tab-signIn")?.click();
      return [before, colours()];
    });
    await expect(button).toBeEnabled();
    await expect.poll(() => button.evaluate((shown) => shown.getAnimations().length)).toBe(0);
    const after = await button.evaluate((shown) => `${getComputedStyle(shown).color} on ${getComputedStyle(shown).backgroundColor}`);
    expect(after).not.toBe(before);
    expect(first).toBe(reducedMotion === "reduce" ? after : before);
    await anna.context.close();
  }
});

test("axe finds nothing on a phone, and nothing is wider than its screen", async ({ browser, relay, somebody }) => {
  const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, reducedMotion: "reduce" } as const;
  const bert = await somebody("bert");
  const anna = await visit(browser, relay, "anna", phone);
  await expect(anna.page.getByRole("textbox", { name: "Username" })).toBeVisible();
  await sound(anna, "welcome");
  await draw(anna, "phone-welcome");
  await register(anna);
  await bert.writeTo("anna");
  for (const text of ["Are you there?", "The view over the lake this morning was worth the early train. Pictures when we meet!", "🌄"])
    await bert.say(text);
  await expect(anna.item("bert").locator(".unread")).toHaveText("3");
  const fits = async (): Promise<void> =>
    expect(await anna.page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  await fits();
  await sound(anna, "the list");
  await draw(anna, "phone-list");
  await anna.item("bert").tap();
  await expect(anna.composer).toBeVisible();
  await anna.composer.fill("On my way!");
  await anna.page.getByRole("button", { name: "Send" }).tap();
  await anna.sees("On my way!");
  await expect(anna.line("On my way!").locator("[data-mark=read]")).toBeVisible();
  await fits();
  await sound(anna, "a conversation");
  await draw(anna, "phone-conversation");
  await anna.page.locator(".chat-who").tap();
  await expect(anna.page.locator(".panel")).toBeVisible();
  await fits();
  await sound(anna, "details");
  await anna.page.goBack();
  await anna.page.getByRole("link", { name: "Back" }).tap();
  await expect(anna.item("bert")).toBeVisible();
  await anna.page.goto(`${relay.url}#/settings`);
  await fits();
  await sound(anna, "settings");
  expect(anna.faults).toEqual([]);
  await anna.context.close();
});
