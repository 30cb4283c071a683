/** Files: out of a browser and into one, between browsers and terminals, through whatever happens on the way. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { attached, bin, card, choose, going, held, hides, saved, saves, sends, trouble, two } from "./attach.ts";
import { hashOf, inFolder, MIB, noise, noPlaces, png, savedHash } from "./disk.ts";
import { Native } from "./native.ts";
import { expect, test } from "./support.ts";

test("what a browser sends with a caption is the same at another browser and at a terminal, and what a terminal sends is the same at both", async ({
  relay,
  somebody,
}) => {
  const [anna, bert] = await two(somebody);
  const terminal = await Native.register(relay, "terry");
  await anna.create("Group", "garden", ["bert", "terry"]);
  await bert.open("garden");
  const film = noise(3 * MIB + 77, 1);
  await choose(anna, bin("film.bin", film));
  await anna.composer.fill("from **Sunday**");
  await anna.composer.press("Enter");
  await expect(anna.composer).toHaveValue("");
  await bert.sees("from Sunday");
  await expect(card(bert, "film.bin")).toContainText("3.1 MB · File");
  await expect(bert.item("garden")).toContainText("📎 film.bin from Sunday");
  await saves(bert, "film.bin");
  await saved(bert, "film.bin", film);
  await inFolder(async (folder) => {
    await terminal.does("get", "garden", "--last", "-o", `${folder}/`);
    expect(hashOf(readFileSync(join(folder, "film.bin")))).toBe(hashOf(film));
    const notes = noise(2 * MIB, 2);
    writeFileSync(join(folder, "notes.bin"), notes);
    await terminal.does("send", "garden", "--file", join(folder, "notes.bin"), "--caption", "from a terminal");
    for (const one of [anna, bert]) {
      await one.sees("from a terminal");
      await saves(one, "notes.bin");
      await saved(one, "notes.bin", notes);
    }
  });
  terminal.leave();
});

test("several files go in the order in which they were chosen, an empty one too, and a browser that cannot write piece by piece downloads them", async ({
  somebody,
}) => {
  const [anna, bert] = await two(somebody);
  await noPlaces(bert.context);
  await bert.page.reload();
  await bert.open("anna");
  const first = noise(100, 3);
  await sends(anna, bin("first.bin", first), bin("empty.txt", Buffer.alloc(0)), bin("third.bin", noise(MIB, 4)));
  await expect(bert.page.locator(".file-name")).toHaveText(["first.bin", "empty.txt", "third.bin"]);
  for (const [name, bytes] of [["first.bin", first], ["empty.txt", Buffer.alloc(0)]] as const) {
    const coming = bert.page.waitForEvent("download");
    await saves(bert, name);
    const download = await coming;
    expect(download.suggestedFilename()).toBe(name);
    expect(hashOf(readFileSync(await download.path()))).toBe(hashOf(bytes));
  }
});

test("files are dropped onto the conversation, which says so, and a folder is refused", async ({ somebody }) => {
  const [anna, bert] = await two(somebody);
  await inFolder(async (folder) => {
    const report = noise(200_000, 5);
    writeFileSync(join(folder, "report.bin"), report);
    mkdirSync(join(folder, "album"));
    const devtools = await anna.context.newCDPSession(anna.page);
    const drop = async (...names: string[]): Promise<void> => {
      const data = { items: [], files: names.map((name) => join(folder, name)), dragOperationsMask: 1 };
      for (const type of ["dragEnter", "dragOver"] as const)
        await devtools.send("Input.dispatchDragEvent", { type, x: 800, y: 400, data });
      await expect(anna.page.locator(".chat")).toHaveAttribute("data-drop", "Drop to send");
      await devtools.send("Input.dispatchDragEvent", { type: "drop", x: 800, y: 400, data });
      await expect(anna.page.locator(".chat")).not.toHaveAttribute("data-drop");
    };
    await drop("album", "report.bin");
    await expect(anna.page.locator(".toast")).toContainText("Folders cannot be sent");
    await expect(attached(anna)).toHaveCount(1);
    await anna.composer.press("Enter");
    await saves(bert, "report.bin");
    await saved(bert, "report.bin", report);
    // Beside the conversation nothing is taken, and the page stays.
    const data = { items: [], files: [join(folder, "report.bin")], dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver", "drop"] as const)
      await devtools.send("Input.dispatchDragEvent", { type, x: 100, y: 400, data });
    await anna.say("still here");
    await expect(attached(anna)).toHaveCount(0);
  });
});

test("a picture is pasted, taken off again, pasted once more and sent", async ({ somebody }) => {
  const [anna, bert] = await two(somebody);
  await anna.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await anna.page.evaluate(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0));
    await navigator.clipboard.write([new ClipboardItem({ "image/png": new Blob([bytes], { type: "image/png" }) })]);
  }, png(60, 40).toString("base64"));
  await anna.composer.press("ControlOrMeta+V");
  await expect(attached(anna)).toHaveCount(1);
  await anna.page.getByRole("button", { name: "Do not send image.png" }).click();
  await expect(attached(anna)).toHaveCount(0);
  await anna.composer.press("ControlOrMeta+V");
  await expect(attached(anna)).toHaveCount(1);
  await anna.composer.press("Enter");
  await expect(bert.page.getByRole("button", { name: "Open the picture image.png" })).toBeVisible();
});

test("an upload goes on when the relay was killed in the middle of it, and one that is cancelled says nothing to anybody", async ({
  relay,
  somebody,
}) => {
  const [anna, bert] = await two(somebody);
  const film = noise(16 * MIB + 5, 6);
  const line = await held(anna, "PUT", 6);
  await sends(anna, bin("film.bin", film));
  await line.reached;
  await expect(going(anna).getByRole("progressbar")).toBeVisible();
  await expect.poll(() => relay.chunks().length).toBe(6);
  await relay.kill();
  await line.release();
  await expect(going(anna)).toContainText("No connection");
  await anna.composer.fill("a caption");
  await sends(anna, bin("never.bin", noise(MIB, 7)));
  await expect(going(anna)).toHaveCount(2);
  await expect(going(anna).last()).toContainText("Waiting for its turn");
  await anna.page.getByRole("button", { name: "Cancel never.bin" }).click();
  await expect(going(anna)).toHaveCount(1);
  await expect(anna.composer).toHaveValue("a caption");
  await anna.composer.fill("");
  const again = await held(anna, "PUT", 0);
  await relay.run();
  await again.reached;
  expect(relay.chunks(), "what was put before the relay was killed is still there").toHaveLength(6);
  await again.release();
  await expect(card(bert, "film.bin")).toBeVisible({ timeout: 60_000 });
  await saves(bert, "film.bin");
  await saved(bert, "film.bin", film);
  await expect(going(anna)).toHaveCount(0);
  // Cancelled while it moves.
  const more = await held(anna, "PUT", 3);
  await sends(anna, bin("cancelled.bin", noise(16 * MIB, 8)));
  await more.reached;
  await anna.page.getByRole("button", { name: "Cancel cancelled.bin" }).click();
  await expect(going(anna)).toHaveCount(0);
  await more.release();
  await anna.say("the end");
  await bert.sees("the end");
  await expect(bert.page.locator(".file-name")).toHaveText(["film.bin"]);
});

test("a download is paused, goes on, and comes through when the relay was killed in the middle of it", async ({ relay, somebody }) => {
  const [anna, bert] = await two(somebody);
  // Without links, of which other tests tell.
  await hides(bert.context);
  await bert.page.reload();
  await bert.connected();
  await bert.open("anna");
  const film = noise(16 * MIB + 5, 9);
  await sends(anna, bin("film.bin", film));
  await expect(card(bert, "film.bin")).toBeVisible({ timeout: 60_000 });
  const line = await held(bert, "GET", 3);
  await saves(bert, "film.bin");
  await line.reached;
  await bert.page.getByRole("button", { name: "Pause" }).click();
  await expect(card(bert, "film.bin")).toContainText("Paused");
  await relay.kill();
  await line.release();
  await bert.page.getByRole("button", { name: "Go on" }).click();
  await expect(card(bert, "film.bin")).toContainText("No connection");
  expect(await savedHash(bert.page, "film.bin")).not.toBe(hashOf(film));
  await relay.run();
  await saved(bert, "film.bin", film);
});

test("a chunk that was altered at the relay is refused and nothing of the file is kept; a file that is gone is said to be", async ({
  relay,
  somebody,
}) => {
  const [anna, bert] = await two(somebody);
  await sends(anna, bin("film.bin", noise(3 * MIB, 10)));
  await expect(card(bert, "film.bin")).toBeVisible();
  const chunk = relay.chunks()[1] ?? "";
  const bytes = readFileSync(chunk);
  bytes[1000] = (bytes[1000] ?? 0) ^ 1;
  writeFileSync(chunk, bytes);
  await saves(bert, "film.bin");
  await expect(trouble(card(bert, "film.bin"))).toContainText("not the file that was sent");
  await expect(card(bert, "film.bin")).not.toContainText("Saved");
  expect([undefined, hashOf(Buffer.alloc(0))]).toContain(await savedHash(bert.page, "film.bin"));
  rmSync(dirname(chunk), { recursive: true });
  await saves(bert, "film.bin");
  await expect(trouble(card(bert, "film.bin"))).toContainText("Ask for it to be sent again");
});

test("a file that changes while it is sent is not sent", async ({ somebody }) => {
  const [anna, bert] = await two(somebody);
  await inFolder(async (folder) => {
    const path = join(folder, "report.bin");
    writeFileSync(path, noise(MIB, 11));
    await choose(anna, path);
    writeFileSync(path, noise(MIB + 1, 12));
    await anna.composer.press("Enter");
    await expect(trouble(going(anna))).toContainText("The file changed");
    await anna.page.getByRole("button", { name: "Cancel report.bin" }).click();
    await anna.say("not that one");
    await bert.sees("not that one");
    await expect(bert.page.locator(".file")).toHaveCount(0);
  });
});

test("names are shown and saved without what would deceive or lead elsewhere", async ({ somebody }) => {
  const [anna, bert] = await two(somebody);
  await sends(anna, bin("..\\..\\photo\u202egpj.exe", Buffer.from("MZ")), bin("con.txt", Buffer.from("a text")));
  await expect(bert.page.locator(".file-name")).toHaveText(["photogpj.exe", "_con.txt"]);
  await saves(bert, "photogpj.exe");
  await saved(bert, "photogpj.exe", Buffer.from("MZ"));
});

test("a picture shows itself and is looked at closely by keys; what only pretends to be one is not shown", async ({ somebody }) => {
  const [anna, bert] = await two(somebody);
  const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script><rect width="9" height="9"/></svg>');
  const broken = Buffer.concat([png(30, 30).subarray(0, 40), noise(500, 13)]);
  await sends(
    anna,
    { name: "hills.png", mimeType: "image/png", buffer: png(1600, 1000) },
    { name: "drawing.svg", mimeType: "image/svg+xml", buffer: svg },
    { name: "drawing.png", mimeType: "image/png", buffer: svg },
    { name: "broken.png", mimeType: "image/png", buffer: broken },
  );
  await expect(bert.page.locator(".file")).toHaveCount(4);
  await expect(card(bert, "broken.png")).toContainText("no picture that can be shown");
  const pictures = bert.page.locator(".messages img");
  await expect(pictures).toHaveCount(1);
  await expect(pictures).toHaveAttribute("src", /^blob:/);
  await expect.poll(() => pictures.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(1600);
  // By the keyboard: from the composer to the line, into it, and out again.
  const line = bert.page.locator(".message").filter({ has: bert.page.locator("img") });
  await line.focus();
  await bert.page.keyboard.press("Tab");
  const open = bert.page.getByRole("button", { name: "Open the picture hills.png" });
  await expect(open).toBeFocused();
  await bert.page.keyboard.press("Enter");
  const viewer = bert.page.getByRole("dialog", { name: "Picture: hills.png" });
  await expect(viewer).toBeVisible();
  const width = () => viewer.locator("img").evaluate((image) => image.getBoundingClientRect().width);
  // It is fitted to the window in its first frame: before that it has its own 1,600 points, or none.
  let whole = 0;
  await expect.poll(async () => (whole = await width()) > 0 && whole <= 1280).toBe(true);
  await bert.page.keyboard.press("+");
  await expect.poll(width).toBeGreaterThan(whole * 1.3);
  await bert.page.keyboard.press("0");
  await expect.poll(width).toBeCloseTo(whole, 0);
  await bert.page.keyboard.press("Escape");
  await expect(viewer).toHaveCount(0);
  await expect(open).toBeFocused();
});

test("a picture is seen small before any of it is fetched, from a browser and from a terminal, and its line does not move when it is there", async ({
  relay,
  somebody,
}) => {
  const [anna, bert] = await two(somebody);
  const terminal = await Native.register(relay, "terry");
  await anna.create("Group", "garden", ["bert", "terry"]);
  await bert.open("garden");
  const chunks = await held(bert, "GET", 0);
  const look = (name: string) =>
    card(bert, name)
      .locator("img")
      .evaluate((image: HTMLImageElement) => {
        const canvas = document.createElement("canvas");
        const brush = canvas.getContext("2d")!;
        brush.drawImage(image, 0, 0, image.naturalWidth, image.naturalHeight, 0, 0, 1, 1);
        const { width, height } = image.getBoundingClientRect();
        return { points: [image.naturalWidth, image.naturalHeight], box: [width, height], sky: [...brush.getImageData(0, 0, 1, 1).data] };
      });
  const small = async (name: string) => {
    await expect.poll(async () => (await look(name)).points).toEqual([320, 200]);
    return look(name);
  };
  await sends(anna, { name: "hills.png", mimeType: "image/png", buffer: png(1600, 1000) });
  const before = await small("hills.png");
  // Above is sky, below are hills: what is seen is in between.
  expect(before.sky[2]).toBeGreaterThan(100);
  await inFolder(async (folder) => {
    writeFileSync(join(folder, "lake.png"), png(800, 500));
    await terminal.does("send", "garden", "--file", join(folder, "lake.png"));
  });
  await small("lake.png");
  expect(await terminal.reads("garden")).toContainEqual(expect.objectContaining({ preview: { width: 1600, height: 1000 } }));
  await chunks.release();
  await expect.poll(async () => (await look("hills.png")).points).toEqual([1600, 1000]);
  expect((await look("hills.png")).box).toEqual(before.box);
  terminal.leave();
});

test("pictures wait to be asked for when one wants it so", async ({ somebody }) => {
  const [anna, bert] = await two(somebody);
  await bert.page.goto(`${bert.relay.url}#/settings`);
  await bert.page.getByLabel("Show pictures by themselves").selectOption({ label: "Never" });
  await bert.open("anna");
  await sends(anna, { name: "hills.png", mimeType: "image/png", buffer: png(300, 200) });
  const show = bert.page.getByRole("button", { name: "Show hills.png" });
  await expect(show).toBeVisible();
  await expect(bert.page.locator(".messages img")).toHaveCount(0);
  await show.click();
  await expect(bert.page.getByRole("button", { name: "Open the picture hills.png" })).toBeVisible();
});

test.describe("a relay that takes small files", () => {
  test.use({ settings: { SOTTO_RELAY_FILES_LARGEST: "2 MiB", SOTTO_RELAY_FILES_QUOTA: "3 MiB" } });

  test("a file that is too large, or for which there is no room, is refused before it is read, with what to do", async ({ somebody }) => {
    const [anna, bert] = await two(somebody);
    await sends(anna, bin("large.bin", noise(2 * MIB, 14)));
    await expect(trouble(going(anna))).toContainText("takes files up to 2.1 MB");
    await anna.page.getByRole("button", { name: "Cancel large.bin" }).click();
    await sends(anna, bin("first.bin", noise(1.8 * MIB, 15)), bin("second.bin", noise(1.8 * MIB, 16)));
    await expect(card(bert, "first.bin")).toBeVisible();
    await expect(trouble(going(anna))).toContainText("No room for it");
    await expect(going(anna).getByRole("button", { name: "Try again" })).toBeVisible();
  });
});

test.describe("a relay without files", () => {
  test.use({ settings: { SOTTO_RELAY_FILES_ENABLED: "false" } });

  test("says so", async ({ somebody }) => {
    const [anna] = await two(somebody);
    await sends(anna, bin("a.bin", noise(100, 17)));
    await expect(trouble(going(anna))).toContainText("keeps no files");
  });
});
