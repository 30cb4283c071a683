/**
 * `node pack.mjs FROM TO`: what the relay embeds. Copies the built client and puts a brotli and a gzip form beside every file
 * that gets smaller by it, writes only what changed, and prints what a browser downloads. Fails over the limit.
 */
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

/** What the first visit may download: a moment on a phone's network. */
const INITIAL_BYTES_MAX = 900 * 1024;

/** What the first visit needs: the page, its style, its code. Pictures come later. */
const INITIAL = /\.(html|css|js|mjs|wasm)$/;

/** What is not compressed yet. */
const COMPRESSIBLE = /\.(html|css|js|mjs|wasm|json|webmanifest|svg|txt|xml|map|ico)$/;

const [from, to] = process.argv.slice(2);
if (!from || !to) {
  console.error("usage: node pack.mjs FROM TO");
  process.exit(2);
}

const files = listed(from);
if (!files.includes("index.html")) {
  console.error(`${from} holds no index.html: the client was not built`);
  process.exit(1);
}
const wanted = new Map();
const rows = files.map((file) => {
  const plain = readFileSync(join(from, file));
  wanted.set(file, plain);
  const row = { file, plain: plain.length, gzip: plain.length, brotli: plain.length };
  if (COMPRESSIBLE.test(file)) {
    for (const [name, extension, bytes] of [
      ["brotli", "br", brotli(plain)],
      ["gzip", "gz", gzipSync(plain, { level: 9 })],
    ]) {
      if (bytes.length < plain.length) {
        row[name] = bytes.length;
        wanted.set(`${file}.${extension}`, bytes);
      }
    }
  }
  return row;
});
write();
report();

/** Every file below a folder, but hidden ones and forms of others. */
function listed(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .filter((file) => !/\.(br|gz)$/.test(file))
    .sort();
}

function brotli(bytes) {
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN, BROTLI_PARAM_SIZE_HINT } = constants;
  const params = { [BROTLI_PARAM_QUALITY]: 11, [BROTLI_PARAM_LGWIN]: 24, [BROTLI_PARAM_SIZE_HINT]: bytes.length };
  return brotliCompressSync(bytes, { params });
}

/** Files that did not change keep their time, so that the relay is not built anew. */
function write() {
  const there = readdirSync(to, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== ".gitignore")
    .map((entry) => relative(to, join(entry.parentPath, entry.name)).replaceAll("\\", "/"));
  for (const file of there.filter((file) => !wanted.has(file))) rmSync(join(to, file));
  for (const [file, bytes] of wanted) {
    const path = join(to, file);
    if (there.includes(file) && readFileSync(path).equals(bytes)) continue;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  }
}

/**
 * What the first visit fetches: what the page names, and what that names. What only an `import()` leads to is fetched when it is
 * wanted, with its style, its workers and their modules; the list of names that goes with such an `import()` fetches nothing.
 */
function firstVisit() {
  const initial = new Set(["index.html"]);
  for (const file of initial) {
    // The service worker names every file of the build: it keeps them for later.
    if (file === "sw.js" || !/\.(html|css|m?js)$/.test(file)) continue;
    const text = wanted.get(file).toString("utf8");
    const names = text.replaceAll(/\bimport\(\s*["'`][^"'`]+["'`]\s*\)|\bm\.f=\[[^\]]*\]/g, "");
    // A set that grows while it is gone through is gone through to its end.
    for (const other of files) if (names.includes(basename(other))) initial.add(other);
  }
  return initial;
}

function report() {
  const first = firstVisit();
  const initial = rows.filter((row) => INITIAL.test(row.file) && row.file !== "sw.js" && first.has(row.file));
  const sum = (list, name) => list.reduce((bytes, row) => bytes + row[name], 0);
  const line = (name, row) =>
    `  ${name.padEnd(44)}${[row.plain, row.gzip, row.brotli].map((bytes) => kib(bytes).padStart(10)).join("")}`;
  console.log(`  ${"KiB".padEnd(44)}${["plain", "gzip", "brotli"].map((name) => name.padStart(10)).join("")}`);
  const large = (row) => row.plain >= 1024;
  for (const row of rows.filter(large)) console.log(line(row.file + (first.has(row.file) || !INITIAL.test(row.file) ? "" : " (on demand)"), row));
  const total = (list) => ({ plain: sum(list, "plain"), gzip: sum(list, "gzip"), brotli: sum(list, "brotli") });
  const rest = rows.filter((row) => !large(row));
  if (rest.length > 0) console.log(line(`${rest.length} smaller files`, total(rest)));
  const all = total(initial);
  console.log(line("initial download (HTML, CSS, JS, wasm)", all));
  if (all.brotli > INITIAL_BYTES_MAX) {
    console.error(`the initial download is over ${kib(INITIAL_BYTES_MAX)} KiB`);
    process.exit(1);
  }
}

function kib(bytes) {
  return (bytes / 1024).toFixed(1);
}
