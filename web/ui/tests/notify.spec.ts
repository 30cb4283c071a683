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
  await anna.say("are you **there**?");
  const shown = () =>
    bert.page.evaluate(async () => {
      const registration = await navigator.serviceWorker.ready;
      const list = await registration.getNotifications();
      return list.map(({ title, body, data }) => ({ title, body, hash: (data as { hash?: string }).hash ?? "" }));
    });
  await expect.poll(async () => (await shown()).at(-1)?.body).toBe("are you there?");
  const [one] = await shown();
  expect(one?.title).toBe("anna");
  expect(one?.hash).toMatch(/^#\/c\/[0-9a-f]+$/);
  await expect(bert.page).toHaveTitle(/^\(\d+\) Sotto$/);
});
