/** Notifications, while nobody looks at the page. */
import { expect, test } from "./support.ts";

test("a text that arrives while nobody looks becomes a notification that leads to its conversation", async ({ relay, somebody }) => {
  const anna = await somebody("anna");
  const bert = await somebody("bert", { permissions: ["notifications"] });
  await anna.writeTo("bert");
  await anna.say("first");
  await expect(bert.item("anna")).toBeVisible();
  await bert.page.goto(`${relay.url}#/settings`);
  await bert.page.getByRole("switch", { name: "Notify me about new messages" }).check();
  await bert.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  // Nobody looks: a headless browser always does.
  await bert.page.evaluate(() => {
    Object.defineProperty(document, "hidden", { get: () => true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  // What the browser took: a headless one sometimes forgets at once what it has shown, and lists nothing.
  await bert.page.evaluate(() => {
    const taken: { title: string; body: string | undefined; hash: string }[] = [];
    Object.assign(globalThis, { taken });
    const show = ServiceWorkerRegistration.prototype.showNotification;
    ServiceWorkerRegistration.prototype.showNotification = async function (title, options) {
      await show.call(this, title, options);
      taken.push({ title, body: options?.body, hash: (options?.data as { hash: string }).hash });
    };
  });
  await anna.say("are you **there**?");
  const shown = () => bert.page.evaluate(() => (globalThis as unknown as { taken: { title: string; body?: string; hash: string }[] }).taken);
  await expect.poll(async () => (await shown()).at(-1)?.body).toBe("are you there?");
  const [one] = await shown();
  expect(one?.title).toBe("anna");
  expect(one?.hash).toMatch(/^#\/c\/[0-9a-f]+$/);
  await expect(bert.page).toHaveTitle(/^\(\d+\) Sotto$/);
});
