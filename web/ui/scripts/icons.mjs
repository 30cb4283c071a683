/** Draws public/icon.svg into the PNG sizes that the manifest names: `node scripts/icons.mjs`, with Chromium at hand. */
import { readFileSync, writeFileSync } from "node:fs";
import { chromium } from "@playwright/test";

const svg = readFileSync(new URL("../public/icon.svg", import.meta.url), "utf8");
const browser = await chromium.launch({
  executablePath: process.env.SOTTO_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});
const icons = [
  { file: "icon-192.png", size: 192, scale: 1 },
  { file: "icon-512.png", size: 512, scale: 1 },
  // Systems cut a maskable icon to their own shape: the drawing stays within the middle four fifths.
  { file: "icon-maskable-512.png", size: 512, scale: 0.78, ground: "#2c6e63" },
];
for (const { file, size, scale, ground } of icons) {
  const page = await browser.newPage({ viewport: { width: size, height: size } });
  const image = `data:image/svg+xml;base64,${Buffer.from(svg).toString("base64")}`;
  await page.setContent(
    `<body style="margin:0;height:100vh;display:grid;place-items:center;background:${ground ?? "transparent"}"><img style="width:${scale * 100}%" src="${image}">`,
  );
  await page.locator("img").evaluate((element) => element.decode());
  const png = await page.screenshot({ omitBackground: true });
  writeFileSync(new URL(`../public/${file}`, import.meta.url), png);
  await page.close();
}
await browser.close();
