/**
 * What a person waits for in a browser: measured in a real Chromium, in turns with a plain WebSocket echo page as the base.
 *
 * One JSON object comes in as the argument: `url` of the relay, `link` for nodes, `sotto` and `home` for a native person, `messages`,
 * `rounds`. One comes out: lists of milliseconds, and how the messages came and were scrolled through.
 */
import { execFile } from "node:child_process";
import http from "node:http";
import { createRequire } from "node:module";
import { promisify } from "node:util";
import { CHROMIUM, chromium, PAGE, register } from "../../web/ui/tests/drive.mjs";

const { url, link, sotto, home, messages, rounds } = JSON.parse(process.argv[2]);
const { WebSocketServer } = createRequire(new URL("../../tests/npm/package.json", import.meta.url))("ws");

const PASSWORD = "a password of the load";

/** Several at once, as a relay is fastest. */
const WRITERS = ["writer", "another", "third", "fourth"];

/** Messages of one command. */
const PORTION = 2_500;

/** How long the browser may still receive when all is written. */
const RECEIVE_MS = 600_000;

/** How long it is scrolled at most. */
const SCROLL_MS = 600_000;

const say = (text) => process.stderr.write(`${text}\n`);

/** A command of the native program, of one of the people who write. */
async function native(who, args, input = "") {
  const running = promisify(execFile)(sotto, [...args, "--quiet"], {
    maxBuffer: 64 << 20,
    env: { ...process.env, SOTTO_HOME: `${home}-${who}`, SOTTO_PASSWORD: PASSWORD, SOTTO_PASSPHRASE: "a passphrase of the load" },
  });
  running.child.stdin.end(input);
  return (await running).stdout;
}

/** The base: as little of a page as can talk to a server. */
const ECHO = `<!doctype html><meta charset="utf-8"><title>echo</title><input id="say"><ol id="said"></ol><script>
const socket = new WebSocket(location.href.replace("http", "ws"));
socket.onopen = () => { document.title = "open"; socket.send("hello"); };
socket.onmessage = ({ data }) => { said.append(Object.assign(document.createElement("li"), { textContent: data })); };
</script>`;

const echo = http.createServer((_, answer) => {
  answer.setHeader("content-type", "text/html; charset=utf-8");
  answer.end(ECHO);
});
new WebSocketServer({ server: echo }).on("connection", (socket) => socket.on("message", (text) => socket.send(`${text}`)));
await new Promise((resolve) => echo.listen(0, "127.0.0.1", resolve));
const echoUrl = `http://127.0.0.1:${echo.address().port}/`;

const browser = await chromium.launch(CHROMIUM);

/** Work in a browser of its own, with nothing cached. */
async function fresh(work) {
  const context = await browser.newContext(PAGE);
  try {
    return await work(await context.newPage());
  } finally {
    await context.close();
  }
}

async function timed(work) {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

const result = { echo_usable_ms: [], echo_first_ms: [], sign_in_usable_ms: [], first_message_ms: [] };

say("some people write, and one reads in a browser ...");
for (const who of WRITERS) await native(who, ["register", "--relay", link, "--username", who, "--email", `${who}@example.org`]);
const reader = await browser.newContext(PAGE);
const page = await reader.newPage();
const words = await register(page, url, { name: "reader", password: PASSWORD });
await native(WRITERS[0], ["create", "many", ...WRITERS.slice(1), "reader", "--history", "all"]);
await native(WRITERS[0], ["send", "many", "the first of all"]);
await page.locator(".item", { hasText: "many" }).click();
await page.locator(".message", { hasText: "the first of all" }).waitFor();

for (let round = 0; round < rounds; round += 1) {
  await fresh(async (page) => {
    result.echo_usable_ms.push(
      await timed(async () => {
        await page.goto(echoUrl);
        await page.locator("#say").waitFor();
      }),
    );
  });
  await fresh(async (page) => {
    result.echo_first_ms.push(
      await timed(async () => {
        await page.goto(echoUrl);
        await page.locator("#said li").waitFor();
      }),
    );
  });
  await fresh(async (page) => {
    result.sign_in_usable_ms.push(
      await timed(async () => {
        await page.goto(url);
        await page.getByRole("button", { name: "Create account" }).waitFor();
      }),
    );
    await page.getByRole("tab", { name: "Recover" }).click();
    await page.getByRole("textbox", { name: "Username" }).fill("reader");
    await page.getByRole("textbox", { name: "Password" }).fill(PASSWORD);
    await page.getByRole("textbox", { name: /words/i }).fill(words);
    result.first_message_ms.push(
      await timed(async () => {
        await page.locator("form button[type=submit]").click();
        await page.locator(".item", { hasText: "many" }).click();
        await page.locator(".message", { hasText: "the first of all" }).waitFor();
      }),
    );
  });
  say(`round ${round + 1} of ${rounds} done`);
}

say(`writing ${messages} messages that the browser receives ...`);
const began = performance.now();
const seconds = () => ((performance.now() - began) / 1000).toFixed(0);
/** One of the people: every so many-th message, some thousands to a command, so that a failure is soon seen. */
async function write(who, first) {
  for (let from = first; from < messages; from += PORTION * WRITERS.length) {
    const lines = [];
    for (let number = from; number < Math.min(from + PORTION * WRITERS.length, messages); number += WRITERS.length)
      lines.push(`message ${number}, of a length that people write in a room where much is said`);
    await native(who, ["send", "many", "--lines"], `${lines.join("\n")}\n`);
    say(`${who} is at message ${from + PORTION * WRITERS.length} after ${seconds()} s`);
  }
}
await Promise.all(WRITERS.map(write));
await native(WRITERS[0], ["send", "many", "the last of all"]);
say(`written in ${seconds()} s`);
await page.locator(".message", { hasText: "the last of all" }).waitFor({ timeout: RECEIVE_MS });
result.received_s = (performance.now() - began) / 1000;
say(`all of it in the browser after ${seconds()} s`);

say("scrolling back through them ...");
Object.assign(
  result,
  await page.evaluate(async (patience) => {
    const scroller = document.querySelector(".scroller");
    const places = () => [...scroller.querySelectorAll("[data-sequence]")].map((row) => Number(row.dataset.sequence));
    const newest = Math.max(...places());
    let oldest = newest;
    const frames = [];
    const began = performance.now();
    let last = began;
    while (last - began < patience) {
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      frames.push(now - last);
      last = now;
      if (frames.length % 30 === 0) oldest = Math.min(oldest, ...places().filter((place) => place < oldest));
      if (scroller.scrollTop <= 0 && scroller.querySelector(".beginning")) break;
      // 24,000 pixels a second: faster than a flung finger.
      scroller.scrollBy(0, -400);
    }
    oldest = Math.min(oldest, ...places());
    return { frames: frames.slice(1), scrolled: newest - oldest + 1 };
  }, SCROLL_MS),
);
await browser.close();
echo.closeAllConnections();
echo.close();
// A pipe takes 64 KiB at once, and the frames of 100,000 messages are more: this ends when all of it is out.
await new Promise((done) => process.stdout.write(`${JSON.stringify(result)}\n`, done));
process.exit(0);
