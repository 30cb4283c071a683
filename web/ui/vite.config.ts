/**
 * How the browser client is built: relative addresses, so that it runs at any path of any static host; nothing inline, so
 * that it runs under the relay's content security policy; and a service worker that knows every file of exactly this build.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join, relative, resolve } from "node:path";
import { defineConfig, type Plugin } from "vite";
import solid from "vite-plugin-solid";
import { emoji } from "./scripts/emoji.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  base: "./",
  plugins: [solid({ solid: { inlineStyles: false } as object }), emoji(), shell()],
  resolve: {
    // Solid makes elements from constant strings; ours does it through a Trusted Types policy.
    alias: [{ find: /^solid-js\/web$/, replacement: here("src/dom.ts") }],
  },
  worker: { format: "es" },
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      input: { main: here("index.html"), sw: here("src/sw.ts") },
      output: { entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
    },
  },
});

/** Tells the service worker which files make up this build, and a version that changes when any of them does. */
function shell(): Plugin {
  let out = "";
  return {
    name: "sotto-shell",
    apply: "build",
    configResolved(config) {
      out = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      const worker = join(out, "sw.js");
      const files = readdirSync(out, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(out, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
        .filter((file) => !/^sw\.js$|\.(br|gz|zst|map)$/.test(file))
        .sort();
      const hash = createHash("sha256");
      for (const file of files) hash.update(file).update("\0").update(readFileSync(join(out, file)));
      const version = hash.digest("hex").slice(0, 16);
      const code = readFileSync(worker, "utf8")
        .replace("__SOTTO_VERSION__", version)
        .replace(/(["'`])__SOTTO_FILES__\1/, () => JSON.stringify(files));
      if (!code.includes(version) || !code.includes('"index.html"')) throw new Error("the service worker was not told its files");
      writeFileSync(worker, code);
    },
  };
}
