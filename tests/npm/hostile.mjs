// What a careless or hostile program on the same machine may say on the WebSocket, and what it gets for it.
// Argument: the WebSocket address.

import assert from "node:assert/strict";
import { once } from "node:events";
import WebSocket from "ws";

const [url] = process.argv.slice(2);
const SOCKETS_MAX = 64;

/** A socket that was told `ready`, and what it was told after that. */
async function open() {
  const socket = new WebSocket(url);
  const told = [];
  socket.on("error", () => {});
  await once(socket, "message");
  socket.on("message", (data) => told.push(JSON.parse(data)));
  return { socket, told };
}

/** Says something and waits for an answer, then pings: every answer until the pong. */
async function answers({ socket, told }, words) {
  const before = told.length;
  const heard = () => told.slice(before).filter((event) => event.type === "error" || event.ref === "this");
  const until = async (fits) => {
    while (!fits()) await once(socket, "message");
  };
  socket.send(words);
  await until(() => heard().length > 0);
  socket.send(JSON.stringify({ type: "ping", ref: "after" }));
  await until(() => told.at(-1).ref === "after");
  return heard();
}

// Each is answered by one error with a sentence, and the socket stays open.
const patient = await open();
for (const words of [
  "",
  "{",
  "null",
  "7",
  "[]",
  '"send"',
  "\u0000",
  "[".repeat(100_000),
  '{"a":'.repeat(50_000),
  '{"recipient":"bob","recipient":"carol","content":"x"}',
  '{"recipient":["bob"],"content":"x"}',
  '{"recipient":"bob","conversation":"garden","content":"x"}',
  '{"recipient":"bob","content":"\\ud800"}',
  '{"recipient":"bob"}',
  JSON.stringify({ content: "x" }),
  JSON.stringify({ type: 7 }),
  JSON.stringify({ type: "ping", ref: "x".repeat(129) }),
  JSON.stringify({ type: "ping", ref: { deep: [] } }),
  JSON.stringify({ type: "read", recipient: "bob", upto: -1 }),
  JSON.stringify({ recipient: "x".repeat(10_000), content: "x" }),
  JSON.stringify({ recipient: "bob", content: "x".repeat(63 * 1024 + 1) }),
  JSON.stringify({ conversation: "0".repeat(32), content: "x" }),
  Buffer.from([0, 159, 146, 150]),
]) {
  const told = await answers(patient, words);
  const shown = String(words).slice(0, 60);
  assert.equal(told.length, 1, `${shown}: ${JSON.stringify(told)}`);
  assert.equal(told[0].type, "error", shown);
  assert.match(told[0].code, /^[a-z_]+$/);
  assert.ok(told[0].error.length > 10 && told[0].error.length < 1000, `${shown}: ${told[0].error}`);
}

// A message larger than any that means something ends the socket before it is read.
const large = await open();
large.socket.send("x".repeat(1 << 20));
assert.notEqual((await once(large.socket, "close"))[0], 1000);

// Bytes that are not UTF-8 in a text message end it too.
const broken = await open();
broken.socket._socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28]));
await once(broken.socket, "close");

// So does a frame that is not masked, as no client may send it.
const unmasked = await open();
unmasked.socket._socket.write(Buffer.from([0x81, 0x02, 0x7b, 0x7d]));
await once(unmasked.socket, "close");

// There is room for so many sockets, and no more; one that ends makes room.
const others = [];
while (others.length + 1 < SOCKETS_MAX) others.push(await open());
const refused = new WebSocket(url);
const [, response] = await once(refused, "unexpected-response");
assert.equal(response.statusCode, 503);
refused.on("error", () => {});
refused.terminate();
const gone = others.pop();
gone.socket.close();
await once(gone.socket, "close");
others.push(await open());

// Nobody else noticed.
const pong = { type: "pong", ref: "this" };
assert.deepEqual(await answers(patient, JSON.stringify({ type: "ping", ref: "this" })), [pong]);
for (const { socket } of [patient, ...others]) socket.close();
