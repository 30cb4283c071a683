/** How files look: axe finds nothing wrong in either theme; with `SOTTO_SCREENS=1` they are drawn too. */
import { expect, type Person, test } from "./support.ts";
import { MIB, noise, png } from "./disk.ts";
import { draw, sound } from "./screens.ts";

for (const theme of ["light", "dark"] as const) {
  test(`axe finds nothing where files are, ${theme}`, async ({ somebody }) => {
    const options = { colorScheme: theme, reducedMotion: "reduce" } as const;
    const anna = await somebody("anna", options);
    const phone: Person = await somebody("bert", { ...options, viewport: { width: 390, height: 780 }, hasTouch: true });
    await anna.writeTo("bert");
    await anna.say("Do you have the photos from the lake?");
    await phone.open("anna");
    const picker = phone.page.locator(".composer input[type=file]");
    await picker.setInputFiles([
      { name: "lake-house-in-the-morning.png", mimeType: "image/png", buffer: png(1200, 800) },
      { name: "Directions to the house.pdf", mimeType: "application/pdf", buffer: Buffer.from("%PDF-1.7 nothing more") },
    ]);
    await phone.composer.fill("This one, from the jetty");
    await expect(phone.page.locator(".tray.attached .tray-row")).toHaveCount(2);
    await sound(phone, "attached files on a phone");
    await draw(phone, `files-attached-phone-${theme}`);
    await phone.composer.press("Control+Enter");
    await expect(anna.page.locator(".messages img")).toBeVisible();
    await expect(anna.page.locator(".file")).toHaveCount(2);
    await expect(phone.page.locator(".file")).toHaveCount(2);
    await sound(phone, "files in a conversation on a phone");
    await draw(phone, `files-phone-${theme}`);

    // Something on its way, with the line cut.
    await anna.context.route(/\/chunks\/[1-9]\d*$/, () => undefined);
    await anna.page.locator(".composer input[type=file]").setInputFiles([
      { name: "boat.mp4", mimeType: "video/mp4", buffer: noise(5 * MIB, 1) },
      { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("bread, cheese, wine") },
    ]);
    await expect(anna.page.locator(".tray.attached .tray-row")).toHaveCount(2);
    await anna.composer.press("Enter");
    await expect(anna.page.locator(".tray-row").first()).toContainText(" of ");
    await sound(anna, "files on their way");
    await draw(anna, `files-${theme}`);
    await anna.page.getByRole("button", { name: /^Open the picture/ }).click();
    await expect(anna.page.locator(".viewer img")).toBeVisible();
    await sound(anna, "the picture viewer");
    await draw(anna, `files-viewer-${theme}`);
    await anna.page.keyboard.press("Escape");
    await anna.page.goto(`${anna.relay.url}#/settings`);
    await expect(anna.page.getByLabel("Show pictures by themselves")).toBeVisible();
    await sound(anna, "the settings of files");
    if (theme === "light") {
      await anna.page.getByLabel("Language").selectOption("ru");
      await anna.page.goto(`${anna.relay.url}#/`);
      await anna.item("bert").click();
      await expect(anna.page.locator(".tray-row").first()).toContainText(" из ");
      await draw(anna, "files-ru");
    }
  });
}
