/**
 * A browser, and the paths through the interface, for programs that are no tests: the demo (`xtask/src/demo/browser.mjs`) and the
 * measurements (`loadtest/web/measure.mjs`).
 */
import { chromium } from "@playwright/test";

/** The Chromium of the system, as everything here starts it. */
export const CHROMIUM = {
  executablePath: process.env.SOTTO_CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
};

/** How every page is opened. */
export const PAGE = { locale: "en-GB", viewport: { width: 1280, height: 800 } };

export { chromium };

/** Opens the relay's page, makes an account and goes past its recovery words, which it gives. */
export async function register(page, url, { name, password, email = `${name}@example.org` }) {
  await page.goto(url);
  await page.getByRole("textbox", { name: "Username" }).fill(name);
  await page.getByRole("textbox", { name: "E-mail" }).fill(email);
  await page.getByRole("textbox", { name: "Password" }).fill(password);
  await page.getByRole("button", { name: "Create account" }).click();
  const words = page.locator(".words li");
  await words.nth(23).waitFor();
  const shown = (await words.allInnerTexts()).map((text) => text.replace(/^\d+\s*/, "")).join(" ");
  await page.getByRole("checkbox").check();
  await page.getByRole("button", { name: "Done" }).click();
  await page.locator(".connection.good").waitFor();
  return shown;
}

/** Types a text and sends it. */
export async function say(page, text) {
  const composer = page.getByRole("textbox", { name: "Message", exact: true });
  await composer.fill(text);
  await composer.press("Enter");
  await page.waitForFunction(() => document.querySelector(".composer textarea")?.value === "");
}

/**
 * Reads a conversation as a person does: from the newest line back to its beginning. The list holds only what is near the screen, so
 * it is scrolled through. Each text with who said it: a name stands above the first of somebody's lines in a row.
 */
export async function read(page, own) {
  const newest = page.locator(".to-newest");
  if (await newest.isVisible()) await newest.click();
  await newest.waitFor({ state: "hidden" });
  const lines = await page.evaluate(async () => {
    const seen = new Map();
    const scroller = document.querySelector(".scroller");
    const frames = async (count) => {
      for (let frame = 0; frame < count; frame += 1) await new Promise(requestAnimationFrame);
    };
    // Lines that come to the screen get their size there, and move others: a person looks when it stands still.
    const stands = async () => {
      for (let before = "", looks = 0; looks < 100; looks += 1) {
        await frames(2);
        const now = `${scroller.scrollTop} ${scroller.scrollHeight}`;
        if (now === before) return;
        before = now;
      }
    };
    const until = performance.now() + 90_000;
    for (;;) {
      await stands();
      for (const row of scroller.querySelectorAll(".row-line[data-sequence]")) {
        const message = row.querySelector(".message");
        const from = message?.classList.contains("own")
          ? { own: true }
          : { own: false, joined: message?.classList.contains("joined"), name: row.querySelector(".author")?.textContent };
        const text = row.querySelector(".text:not(.faint-text)")?.textContent;
        seen.set(Number(row.dataset.sequence), text === undefined ? null : { ...from, text });
      }
      if (scroller.scrollTop <= 0 && scroller.querySelector(".beginning")) break;
      if (performance.now() > until) throw new Error("the beginning of the conversation does not come");
      scroller.scrollBy(0, -scroller.clientHeight * 0.75);
    }
    return [...seen].sort(([a], [b]) => a - b).map(([, line]) => line);
  });
  let last;
  return lines.flatMap((line) => {
    if (line === null) return [];
    if (line.own) return [{ from: own, text: line.text }];
    if (!line.joined) last = line.name;
    return [{ from: last, text: line.text }];
  });
}
