// One socket does not read while much happens, another does. The slow one is told that it was left behind, and from
// where to read; the other has missed nothing.
// Arguments: the WebSocket address of the listener, that of the speaker, and the listener's account.

import assert from "node:assert/strict";
import { open } from "./socket.mjs";

const [url, speakerUrl, listener] = process.argv.slice(2);
// More than the system buffers for a connection, and than a socket may be behind.
const LARGE = { texts: 200, bytes: 60_000 };
const SMALL = 4_600;

const [slow, quick, speaker] = [open(url), open(url), open(speakerUrl)];
for (const one of [slow, quick, speaker]) await one.next((event) => event.type === "ready");
speaker.say({ recipient: listener, content: "first" });
const { conversation } = await slow.next((event) => event.content === "first");
slow.socket.pause();

for (let i = 0; i < LARGE.texts; i++) speaker.say({ conversation, content: `${i} ${"x".repeat(LARGE.bytes)}` });
await quick.next((event) => event.content?.startsWith(`${LARGE.texts - 1} `));
for (let i = LARGE.texts; i < LARGE.texts + SMALL; i++) speaker.say({ conversation, content: `${i}` });
speaker.say({ conversation, content: "last" });
const last = await quick.next((event) => event.content === "last");

slow.socket.resume();
const behind = await slow.next((event) => event.type === "behind");
assert.ok(behind.missed > 0);
const numbers = (one) =>
  one.told.filter((event) => event.type === "message").map((event) => Number.parseInt(event.content, 10));
const every = [NaN, ...Array.from({ length: LARGE.texts + SMALL }, (_, i) => i), NaN];
assert.deepEqual(numbers(quick), every);

// What was told, and what is to be read by the cursors, is everything.
const place = behind.conversations.find((one) => one.conversation === conversation);
const { host, searchParams } = new URL(url);
let after = place?.cursor ?? last.sequence;
const read = [];
while (after < (place?.head ?? 0)) {
  const path = `/conversations/${conversation}/messages?after=${after}&limit=500`;
  const response = await fetch(`http://${host}${path}`, {
    headers: { authorization: `Bearer ${searchParams.get("token")}` },
  });
  const page = await response.json();
  read.push(...page.messages.filter((line) => line.sequence <= place.head));
  after = page.after ?? place.head;
}
const index = slow.told.indexOf(behind);
const before = slow.told.slice(0, index).filter((event) => event.type === "message");
const whole = [...before, ...read].map((event) => Number.parseInt(event.content, 10));
assert.deepEqual(whole, every);
console.log(JSON.stringify({ missed: behind.missed, read: read.length }));
for (const one of [slow, quick, speaker]) one.socket.close();
