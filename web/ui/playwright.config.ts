/** The tests of the browser client: a real Chromium, a real relay, nothing pretended. */
import { defineConfig } from "@playwright/test";
import { CHROMIUM, PAGE } from "./tests/drive.mjs";

export default defineConfig({
  testDir: "tests",
  preserveOutput: "failures-only",
  fullyParallel: true,
  workers: Number(process.env.SOTTO_WEB_WORKERS ?? 2),
  timeout: 120_000,
  expect: { timeout: 20_000 },
  reporter: [["list"]],
  use: {
    actionTimeout: 20_000,
    ...PAGE,
    trace: "off",
    launchOptions: CHROMIUM,
  },
});
