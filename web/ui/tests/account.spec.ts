/** Signing in and out, further devices, settings. */
import { expect, PASSWORD, register, test, visit } from "./support.ts";

test("the recovery words make another browser a device that reads the past", async ({ browser, relay, somebody }) => {
  const first = await visit(browser, relay, "anna");
  const words = await register(first);
  const bert = await somebody("bert");
  await first.writeTo("bert");
  await first.say("written on the first device");
  await bert.open("anna");
  await bert.sees("written on the first device");

  const second = await visit(browser, relay, "anna");
  await second.page.getByRole("tab", { name: "Sign in" }).click();
  await second.page.getByRole("textbox", { name: "Username or e-mail" }).fill("anna");
  await second.page.getByRole("textbox", { name: "Password" }).fill(PASSWORD);
  await second.page.getByRole("button", { name: "Sign in" }).click();
  // The account has a device already: its words are asked for.
  await second.page.getByRole("textbox", { name: "Recovery words" }).fill(words.join(" "));
  await second.page.getByRole("button", { name: "Recover" }).click();
  await second.connected();
  await second.open("bert");
  await second.sees("written on the first device");
  await second.say("written on the second");
  await bert.sees("written on the second");
  await first.sees("written on the second");

  await second.page.goto(`${relay.url}#/settings`);
  await expect(second.page.locator("section", { hasText: "Devices" }).locator("li").first()).toBeVisible();
  await second.page.getByRole("button", { name: /^Remove/ }).click();
  await second.page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await expect(second.page.getByRole("button", { name: /^Remove/ })).toHaveCount(0);
  await first.context.close();
  await second.context.close();
});

test("a wrong password is refused in the person's language", async ({ browser, relay }) => {
  const anna = await visit(browser, relay, "anna", { locale: "ru-RU" });
  await anna.page.getByRole("tab", { name: "Вход" }).click();
  await anna.page.getByRole("textbox", { name: "Имя пользователя или e-mail" }).fill("anna");
  await anna.page.getByRole("textbox", { name: "Пароль" }).fill("not this one");
  await anna.page.getByRole("button", { name: "Вход" }).click();
  await expect(anna.page.getByRole("alert")).toContainText("Неверное имя или пароль");
  await anna.context.close();
});

for (const [when, isHeld] of [
  ["", false],
  [", also when its page is loaded anew before that is done", true],
] as const)
  test(`signing out wipes this browser${when}`, async ({ somebody }) => {
    const anna = await somebody("anna");
    await somebody("bert");
    await anna.writeTo("bert");
    await anna.say("secret");
    // The relay does not answer: it is told before anything is deleted.
    if (isHeld) await anna.context.route(/\/auth\/logout$/, () => undefined);
    await anna.page.goto(`${anna.relay.url}#/settings`);
    await anna.page.getByRole("button", { name: "Sign out" }).click();
    await anna.page.getByRole("dialog").getByRole("button", { name: "Sign out" }).click();
    await expect(anna.page.getByRole("button", { name: "Create account" })).toBeVisible();
    await anna.page.reload();
    await expect(anna.page.getByRole("button", { name: "Create account" })).toBeVisible();
  });

test("settings change language, theme and presence, and stay over a reload", async ({ somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await anna.say("hello");
  await bert.open("anna");
  await expect(bert.page.locator(".chat-detail")).toHaveText("online");
  await anna.page.goto(`${anna.relay.url}#/settings`);
  await anna.page.getByRole("switch", { name: "Invisible" }).check();
  await expect(bert.page.locator(".chat-detail")).toHaveText("offline");
  await anna.page.getByLabel("Theme").selectOption("dark");
  await expect(anna.page.locator("html")).toHaveAttribute("data-theme", "dark");
  await anna.page.getByLabel("Language").selectOption("ru");
  await expect(anna.page.getByRole("heading", { name: "Настройки" })).toBeVisible();
  await anna.page.reload();
  await expect(anna.page.getByRole("heading", { name: "Настройки" })).toBeVisible();
  await expect(anna.page.locator("html")).toHaveAttribute("data-theme", "dark");
  await expect(anna.page.getByRole("switch", { name: "Невидимка" })).toBeChecked();
});

test("the recovery words can be seen again, after a question", async ({ browser, relay }) => {
  const anna = await visit(browser, relay, "anna");
  const words = await register(anna);
  await anna.page.goto(`${relay.url}#/settings`);
  await anna.page.getByRole("button", { name: "Show recovery words" }).click();
  await anna.page.getByRole("dialog").getByRole("button", { name: "Show them" }).click();
  await expect(anna.page.locator(".words li")).toHaveCount(24);
  expect(await anna.page.locator(".words li").allInnerTexts()).toEqual(words);
  await anna.context.close();
});

test("sessions are listed, and this one is marked", async ({ somebody }) => {
  const anna = await somebody("anna");
  await anna.page.goto(`${anna.relay.url}#/settings`);
  await expect(anna.page.getByText("This session", { exact: true })).toBeVisible();
  await expect(anna.page.getByText("This browser", { exact: true })).toBeVisible();
});
