/**
 * Somebody in a real Chromium, told what to do by `browser.rs`: one JSON object a line comes in, one goes out (`{"done": ...}` or
 * `{"failed": "..."}`). Their profile is a folder, as on anybody's disk. Ends, with the browser, when the input does.
 */
import { createInterface } from "node:readline";
import { CHROMIUM, chromium, PAGE, read, register, say } from "../../../web/ui/tests/drive.mjs";

const [name, profile] = process.argv.slice(2);

/** How long anything may take to be seen, on a busy machine. */
const PATIENCE_MS = 60_000;

const context = await chromium.launchPersistentContext(profile, { ...CHROMIUM, ...PAGE });
context.setDefaultTimeout(PATIENCE_MS);
const page = context.pages()[0] ?? (await context.newPage());

const commands = {
  register: ({ url, password, email }) => register(page, url, { name, password, email }).then(() => null),
  /** Waits until the page is in a conversation of so many members. */
  enters: ({ members }) => page.locator(".chat-detail", { hasText: `${members} members` }).waitFor(),
  say: async ({ lines }) => {
    for (const line of lines) await say(page, line);
    return null;
  },
  /** How many texts wait for the relay, once that many are shown. */
  waiting: ({ count }) => page.waitForFunction((count) => document.querySelectorAll("[data-mark=waiting]").length === count, count),
  away: () => page.locator(".connection.away").waitFor(),
  connected: () => page.locator(".connection.good").waitFor(),
  /** What the page shows, once it shows this text. */
  read: async ({ last }) => {
    await page.locator(".message", { hasText: last }).last().waitFor();
    return read(page, name);
  },
  close: () => context.close().then(() => null),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...words } = JSON.parse(line);
  try {
    const done = await commands[command](words);
    process.stdout.write(`${JSON.stringify({ done: Array.isArray(done) ? done : null })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ failed: `${command}: ${error.message}` })}\n`);
  }
}
await context.close().catch(() => undefined);
