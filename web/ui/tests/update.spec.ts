/** A newer build on the server: nothing of two builds is mixed, and the person decides when to change. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "@playwright/test";

const BUILT = fileURLToPath(new URL("../dist", import.meta.url));
const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** Any static host, with nothing behind it. */
function host(folder: string): Promise<{ url: string; close: () => void }> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://host").pathname;
    try {
      const body = readFileSync(join(folder, path === "/" ? "index.html" : path));
      response.writeHead(200, { "content-type": TYPES[extname(path) || ".html"] ?? "application/octet-stream" });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = address && typeof address === "object" ? address.port : 0;
      resolve({ url: `http://127.0.0.1:${port}/`, close: () => server.close() });
    }),
  );
}

/** As a later build would look: its script has another name, and everything that names it has changed. */
function rebuild(folder: string): string {
  const assets = join(folder, "assets");
  const old = readdirSync(assets).find((name) => /^main-.*\.js$/.test(name)) ?? "";
  const fresh = `main-fresh-${old}`;
  renameSync(join(assets, old), join(assets, fresh));
  const texts = ["index.html", "sw.js", ...readdirSync(assets).filter((name) => name.endsWith(".js")).map((name) => `assets/${name}`)];
  for (const name of texts) {
    const text = readFileSync(join(folder, name), "utf8").replaceAll(`/${old}`, `/${fresh}`);
    writeFileSync(join(folder, name), name === "sw.js" ? text.replace(/[0-9a-f]{16}/, "0123456789abcdef") : text);
  }
  return fresh;
}

test("an old page stays whole after an upgrade, says so, and becomes the new one when asked", async ({ page }) => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-web-build-"));
  cpSync(BUILT, folder, { recursive: true });
  const served = await host(folder);
  const script = () => page.evaluate(() => document.querySelector<HTMLScriptElement>("script[type=module]")?.src ?? "");
  await page.goto(served.url);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await page.reload();
  await expect(page.getByRole("textbox", { name: "Username" })).toBeVisible();
  const old = await script();
  const fresh = rebuild(folder);
  await page.reload();
  await expect(page.getByRole("textbox", { name: "Username" })).toBeVisible();
  expect(await script()).toBe(old);
  // A part that was not loaded yet still comes from the old build.
  await page.getByRole("tab", { name: "Sign in" }).click();
  await expect(page.locator(".banner")).toContainText("A new version is ready");
  await page.getByRole("button", { name: "Reload" }).click();
  // While the page reloads there is nothing to be asked.
  await expect.poll(() => script().catch(() => "")).toContain(fresh);
  await expect(page.getByRole("textbox", { name: "Username" })).toBeVisible();
  await expect(page.locator(".banner")).toHaveCount(0);
  expect(await page.evaluate(async () => (await caches.keys()).length)).toBe(1);
  served.close();
  rmSync(folder, { recursive: true, force: true });
});
