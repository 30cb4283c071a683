// The classic exchange of a chat server, by a WebSocket client from npm: two accounts, two daemons.
// Arguments: the WebSocket address and the account's id of each. Prints what each side was told, as JSON.

import assert from "node:assert/strict";
import { open } from "./socket.mjs";

const [aliceUrl, aliceId, bobUrl, bobId] = process.argv.slice(2);

const [alice, bob] = [open(aliceUrl), open(bobUrl)];
const ready = await alice.next((event) => event.type === "ready");
assert.equal(ready.account, aliceId);
await bob.next((event) => event.type === "ready");

alice.say({ recipient: bobId, content: "Hello!" });
const hello = await bob.next((event) => event.type === "message");
assert.equal(hello.sender, aliceId);
assert.equal(hello.content, "Hello!");
assert.equal(typeof hello.id, "string");
assert.ok(Math.abs(Date.parse(hello.timestamp) - Date.now()) < 60_000, hello.timestamp);
const queued = await alice.next((event) => event.type === "queued");
const sent = await alice.next((event) => event.type === "sent");
assert.equal(sent.id, hello.id);
assert.equal(sent.sequence, hello.sequence);
assert.equal(queued.number, sent.number);

bob.say({ recipient: aliceId, content: "Hi Alice", ref: "first" });
const hi = await alice.next((event) => event.type === "message");
assert.equal(hi.content, "Hi Alice");
assert.equal(hi.sender, bobId);
assert.equal((await bob.next((event) => event.type === "sent")).ref, "first");

// One after the other, without waiting: they come in order and once.
for (let i = 0; i < 100; i++) alice.say({ conversation: sent.conversation, content: `line ${i}` });
await bob.next((event) => event.content === "line 99");
const lines = bob.told.filter((event) => event.type === "message").map((event) => event.content);
assert.deepEqual(lines, ["Hello!", ...Array.from({ length: 100 }, (_, i) => `line ${i}`)]);

// What cannot be done says why, and the socket stays open.
for (const [wrong, code] of [
  ["not json", "invalid_request"],
  [JSON.stringify({ content: "to nobody" }), "invalid_request"],
  [JSON.stringify({ recipient: "nobody-of-that-name", content: "x" }), "unknown_account"],
  [JSON.stringify({ recipient: bobId, content: "" }), "invalid_request"],
  [JSON.stringify({ type: "dance" }), "invalid_request"],
]) {
  const before = alice.told.length;
  alice.socket.send(wrong);
  const error = await alice.next((event) => event.type === "error" && alice.told.indexOf(event) >= before);
  assert.equal(error.code, code, `${wrong}: ${JSON.stringify(error)}`);
}
alice.say({ type: "ping", ref: 7 });
assert.equal((await alice.next((event) => event.type === "pong")).ref, 7);

console.log(JSON.stringify({ conversation: sent.conversation, first: hello.sequence }));
alice.socket.close();
bob.socket.close();
