// Who is here, by a WebSocket client from npm: what a daemon tells as another account comes, hides, shows itself and goes,
// and what it answers meanwhile over HTTP. Argument: the daemon's WebSocket address, the other account's id. Prints a line
// at each step, for whoever makes the other one take the next.

import assert from "node:assert/strict";
import { open } from "./socket.mjs";

const [url, otherId] = process.argv.slice(2);
const { host, searchParams } = new URL(url);
const get = async (path) => {
  const headers = { authorization: `Bearer ${searchParams.get("token")}` };
  return (await fetch(`http://${host}${path}`, { headers })).json();
};

const daemon = open(url);
const ready = await daemon.next((event) => event.type === "ready");
const [{ conversation }] = ready.conversations;
const isThere = (event) => event.status === "synchronised";
if (!isThere(ready)) await daemon.next(isThere);

const told = () => daemon.told.filter((event) => event.type === "presence" && event.account === otherId);
const isToldTimes = async (times) => {
  await daemon.next(() => told().length >= times);
  const event = told()[times - 1];
  assert.equal(event.conversation, conversation);
  assert.equal(event.username, "bob");
  return event;
};
const answers = async (names) => {
  const { type, count, accounts } = await get(`/conversations/${conversation}/presence`);
  assert.equal(type, "presence");
  assert.equal(count, names.length);
  assert.deepEqual(accounts.map(({ username }) => username).sort(), names);
  assert.equal((await get(`/conversations/${conversation}`)).present, names.length);
  const { members } = await get(`/conversations/${conversation}/members`);
  for (const { username, here } of members) assert.equal(here, names.includes(username), username);
};

await answers(["alice"]);
console.log("ready");
for (const [at, [step, here]] of [["came", true], ["hid", false], ["shown", true], ["went", false]].entries()) {
  const event = await isToldTimes(at + 1);
  assert.equal(event.here, here, step);
  assert.equal(event.count, here ? 2 : 1, step);
  await answers(here ? ["alice", "bob"] : ["alice"]);
  console.log(step);
}
daemon.socket.close();
