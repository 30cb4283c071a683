/** The page without its relay, and with a newer one. */
import { Native } from "./native.ts";
import type { Relay } from "./relay.ts";
import { expect, type Person, test } from "./support.ts";

test("it opens without a network, shows what was said, and sends later what is written meanwhile", async ({ relay, somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.writeTo("bert");
  await anna.say("kept here");
  await bert.open("anna");
  await bert.sees("kept here");
  await anna.page.evaluate(async () => navigator.serviceWorker.ready);
  await relay.kill();
  await anna.page.reload();
  await anna.sees("kept here");
  await expect(anna.page.locator(".connection")).toHaveClass(/away/);
  await anna.say("written offline");
  await expect(anna.line("written offline").locator("[data-mark=waiting]")).toBeVisible();
  await anna.page.reload();
  await expect(anna.line("written offline")).toBeVisible();
  await relay.run();
  await bert.sees("written offline");
});

test("it can be installed: manifest and icons are there", async ({ page, relay }) => {
  await page.goto(relay.url);
  const manifest = await page.evaluate(async () => {
    const link = document.querySelector<HTMLLinkElement>("link[rel=manifest]");
    return (await fetch(link?.href ?? "")).json() as Promise<{ icons: { src: string; sizes: string }[]; display: string }>;
  });
  expect(manifest.display).toBe("standalone");
  for (const icon of manifest.icons) expect((await page.request.get(relay.url + icon.src)).ok()).toBe(true);
});

test("a conversation of 1,000 lines scrolls back to its beginning and down again", async ({ relay, somebody }) => {
  const bert = await somebody("bert");
  await annaWrites(relay, bert, 1_000);
  await expect(bert.item("anna").locator(".unread")).toHaveAttribute("aria-label", /^1,?000 /);
  await bert.open("anna");
  await bert.sees("line 999");
  const scroller = bert.page.locator(".scroller");
  const newest = bert.page.getByRole("button", { name: /newest/ });
  await scroller.evaluate(rollBack);
  await newest.click();
  await bert.sees("line 999");
  await expect(async () => {
    await scroller.hover();
    await bert.page.mouse.wheel(0, -3_000);
    await expect(bert.page.locator(".beginning")).toBeInViewport({ timeout: 200 });
  }).toPass({ timeout: 60_000 });
  await expect(bert.page.getByText("line 0", { exact: true })).toBeVisible();
  await newest.click();
  await bert.sees("line 999");
  await expect(bert.line("line 999")).toBeInViewport();
});

test("whoever clicks for the newest line while a wheel still rolls comes to it, each time", async ({ relay, somebody }) => {
  const bert = await somebody("bert");
  await annaWrites(relay, bert, 600);
  await bert.open("anna");
  await bert.sees("line 599");
  const newest = bert.page.getByRole("button", { name: /newest/ });
  for (let time = 0; time < 8; time += 1) {
    await expect(async () => {
      await bert.page.locator(".scroller").hover();
      for (let turn = 0; turn < 4; turn += 1) {
        await bert.page.mouse.wheel(0, -3_000);
        await bert.page.waitForTimeout(100);
      }
      await expect(newest).toBeVisible({ timeout: 500 });
    }).toPass();
    await newest.click();
    await expect(bert.line("line 599")).toBeInViewport();
    await expect(newest).toBeHidden();
  }
});

test("who reads back without a network is told so, and the beginning comes by itself with the network", async ({ relay, somebody }) => {
  const bert = await somebody("bert");
  await annaWrites(relay, bert, 100);
  await bert.page.evaluate(async () => navigator.serviceWorker.ready);
  await relay.kill();
  await bert.page.reload();
  await expect(bert.page.locator(".connection")).toHaveClass(/away/);
  await bert.open("anna");
  await expect(async () => {
    await bert.page.locator(".scroller").hover();
    await bert.page.mouse.wheel(0, -3_000);
    await expect(bert.page.getByText("Older messages cannot be read")).toBeVisible({ timeout: 500 });
  }).toPass();
  await expect(bert.page.locator(".beginning")).toHaveCount(0);
  await relay.run();
  await expect(bert.page.locator(".beginning")).toBeInViewport();
});

/** So many lines come, each with its number. */
async function annaWrites(relay: Relay, bert: Person, count: number): Promise<void> {
  const anna = await Native.register(relay, "anna");
  await anna.sends("@bert", Array.from({ length: count }, (_, number) => `line ${number}`));
  anna.leave();
  await expect(bert.item("anna")).toContainText(`line ${count - 1}`);
}

/** Scrolls back to the beginning without a pause, as a wheel that rolls on does. */
async function rollBack(scroller: Element): Promise<void> {
  const until = performance.now() + 60_000;
  while (!(scroller.scrollTop <= 0 && scroller.querySelector(".beginning"))) {
    if (performance.now() > until) throw new Error("the beginning does not come");
    await new Promise(requestAnimationFrame);
    scroller.scrollBy(0, -400);
  }
}
