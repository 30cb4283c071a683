/** Everything can be reached and done without a pointer. */
import { expect, test } from "./support.ts";

test("the keyboard alone finds a conversation, writes, corrects, answers, and goes back", async ({ somebody }) => {
  const anna = await somebody("anna");
  await somebody("bert");
  const { page } = anna;
  await page.keyboard.press("Alt+n");
  await expect(page.getByRole("dialog").getByLabel("Username")).toBeFocused();
  await page.keyboard.type("bert");
  await page.keyboard.press("Enter");
  await expect(anna.composer).toBeFocused();
  await page.keyboard.type("first line");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("second line");
  await page.keyboard.press("Enter");
  await anna.sees("second line");
  await expect(anna.page.locator("[data-mark=waiting]")).toHaveCount(0);

  await page.keyboard.press("ArrowUp");
  await expect(page.locator(".about-title")).toHaveText("Edit message");
  await page.keyboard.press("Control+a");
  await page.keyboard.type("corrected");
  await page.keyboard.press("Enter");
  await expect(anna.line("corrected")).toContainText("edited");

  // From the composer to the newest message, its menu, and an answer.
  await anna.line("corrected").focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("menuitemcheckbox").first()).toBeFocused();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("End");
  await expect(page.getByRole("menuitem", { name: "Delete for everybody" })).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("menu")).toHaveCount(0);
  await expect(anna.line("corrected")).toBeFocused();
  await page.keyboard.press("ArrowUp");
  await expect(page.locator("[data-key]:focus")).toHaveCount(1);

  await anna.create("Group", "lake house", ["bert"]);
  await page.keyboard.press("Alt+ArrowDown");
  await expect(page.locator(".chat-title")).toContainText("bert");
  await page.keyboard.press("Alt+ArrowUp");
  await expect(page.locator(".chat-title")).toContainText("lake house");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("ber");
  await page.keyboard.press("Enter");
  await expect(page.locator(".chat-title")).toContainText("bert");
  await page.keyboard.press("Control+Shift+f");
  await expect(page.getByRole("complementary", { name: "Search in this conversation" }).getByRole("searchbox")).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("complementary", { name: "Search in this conversation" })).toHaveCount(0);
  await page.keyboard.press("Escape");
  await expect(page.locator(".nothing")).toBeVisible();
  await page.locator("body").press("?");
  await expect(page.getByRole("dialog", { name: "Keyboard shortcuts" })).toBeVisible();
  await page.keyboard.press("Escape");

  const list = page.getByRole("navigation", { name: "Conversations" });
  await page.getByRole("searchbox", { name: "Search conversations and messages" }).focus();
  await page.keyboard.press("ArrowDown");
  await expect(list.locator(".item").first()).toBeFocused();
  await page.keyboard.press("ArrowDown");
  await expect(list.locator(".item").nth(1)).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(anna.composer).toBeVisible();
});

test("Tab reaches every control of the main screen", async ({ somebody }) => {
  const anna = await somebody("anna");
  await somebody("bert");
  await anna.writeTo("bert");
  await anna.say("hello");
  const reached = new Set<string>();
  await anna.page.locator("body").evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  for (let step = 0; step < 30; step += 1) {
    await anna.page.keyboard.press("Tab");
    reached.add(
      await anna.page.evaluate(() => {
        const at = document.activeElement;
        return at?.getAttribute("aria-label") ?? at?.className.toString() ?? "";
      }),
    );
  }
  for (const name of ["Menu", "New conversation", "Search conversations and messages", "item", "chat-who", "More", "Emoji", "Message"])
    expect([...reached].some((one) => one.includes(name)), `${name} in ${[...reached].join(", ")}`).toBe(true);
});
