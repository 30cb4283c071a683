/** People in browsers and people at terminals are members of the same kind. */
import { read } from "./drive.mjs";
import { Native } from "./native.ts";
import { expect, test } from "./support.ts";

test("a browser and a terminal talk both ways, also after the relay was killed", async ({ relay, somebody }) => {
  const terminal = await Native.register(relay, "terry");
  const anna = await somebody("anna");
  await anna.writeTo("terry");
  await anna.say("from a browser");
  await expect.poll(() => terminal.texts("anna")).toEqual(["from a browser"]);
  await terminal.does("send", "anna", "from a **terminal**");
  await anna.sees("from a terminal");
  await relay.kill();
  await expect(anna.page.locator(".connection")).not.toHaveClass(/good/);
  await anna.say("while it was away");
  await relay.run();
  await expect.poll(() => terminal.texts("anna")).toEqual(["from a browser", "from a **terminal**", "while it was away"]);
  await terminal.does("send", "anna", "good to have it back");
  await anna.sees("good to have it back");
  terminal.leave();
});

test("a page at the newest line stays there while more lines come than it holds", async ({ relay, somebody }) => {
  const terminal = await Native.register(relay, "terry");
  const anna = await somebody("anna");
  await anna.writeTo("terry");
  await anna.say("from a browser");
  const count = 2_000;
  const lines = Array.from({ length: count }, (_, number) => `line ${number} of many`);
  await terminal.sends("anna", lines);
  const last = anna.line(`line ${count - 1} of many`);
  await expect(last).toBeInViewport({ timeout: 60_000 });
  await anna.say("the end");
  await expect(anna.line("the end")).toBeInViewport();
  const shown = await read(anna.page, "anna");
  expect(shown.map(({ text }: { text: string }) => text)).toEqual(["from a browser", ...lines, "the end"]);
  terminal.leave();
});

test("a group of browsers and a terminal stays one group when the relay is killed in the middle", async ({ relay, somebody }) => {
  const terminal = await Native.register(relay, "terry");
  const anna = await somebody("anna");
  const bert = await somebody("bert");
  await anna.create("Group", "garden", ["bert", "terry"]);
  await anna.say("one");
  await bert.open("garden");
  await bert.sees("one");
  await expect.poll(() => terminal.texts("garden")).toEqual(["one"]);
  await relay.kill();
  await bert.say("two");
  await relay.run();
  await anna.sees("two");
  await terminal.does("send", "garden", "three");
  await anna.sees("three");
  await bert.sees("three");
  await expect.poll(() => terminal.texts("garden")).toEqual(["one", "two", "three"]);
  terminal.leave();
});
