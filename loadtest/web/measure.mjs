/**
 * What a person waits for in a browser: measured in a real Chromium, in turns with a plain WebSocket echo page as the base.
 *
 * One JSON object comes in as the argument: `url` of the relay, `link` for nodes, `sotto` and `home` for a native person, `messages`,
 * `rounds`. One comes out: lists of milliseconds.
 */
import { execFileSync } from "node:child_process";
import http from "node:http";
import { createRequire } from "node:module";
import { CHROMIUM, chromium, PAGE, register } from "../../web/ui/tests/drive.mjs";

const { url, link, sotto, home, messages, rounds } = JSON.parse(process.argv[2]);
const { WebSocketServer } = createRequire(new URL("../../tests/npm/package.json", import.meta.url))("ws");

const PASSWORD = "a password of the load";
const say = (text) => process.stderr.write(`${text}\n`);

/** A command of the native program. */
const native = (args, input = "") =>
  execFileSync(sotto, [...args, "--quiet"], {
    input,
    encoding: "utf8",
    maxBuffer: 64 << 20,
    env: { ...process.env, SOTTO_HOME: home, SOTTO_PASSWORD: PASSWORD, SOTTO_PASSPHRASE: "a passphrase of the load" },
  });

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

const result = { echo_usable_ms: [], echo_first_ms: [], sign_in_usable_ms: [], first_message_ms: [], frames: null };

say("somebody writes, and somebody reads in a browser ...");
native(["register", "--relay", link, "--username", "writer", "--email", "writer@example.org"]);
const reader = await browser.newContext(PAGE);
const page = await reader.newPage();
const words = await register(page, url, { name: "reader", password: PASSWORD });
native(["create", "many", "--history", "all"]);
native(["add", "many", "reader"]);
native(["send", "many", "the first of all"]);
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
for (let from = 0; from < messages; from += 5_000) {
  const lines = [];
  for (let number = from; number < Math.min(from + 5_000, messages); number += 1) {
    lines.push(`message ${number}, of a length that people write in a room where much is said`);
  }
  native(["send", "many", "--lines"], `${lines.join("\n")}\n`);
}
say(`written in ${((performance.now() - began) / 1000).toFixed(0)} s`);
await page.locator(".message", { hasText: `message ${messages - 1},` }).waitFor({ timeout: 600_000 });

say("scrolling back through them ...");
result.frames = await page.evaluate(async () => {
  const list = document.querySelector(".message").closest("[class*=scroll], [style*=overflow], .messages") ?? document.querySelector(".message").parentElement;
  let scroller = list;
  while (scroller && scroller.scrollHeight <= scroller.clientHeight + 1) scroller = scroller.parentElement;
  const frames = [];
  let last = performance.now();
  const until = last + 15_000;
  while (performance.now() < until) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    frames.push(now - last);
    last = now;
    scroller.scrollBy(0, -400);
  }
  return frames.slice(1);
});
await browser.close();
echo.closeAllConnections();
echo.close();
console.log(JSON.stringify(result));
process.exit(0);
