// One step of `tests/exchange`, by the build for WebAssembly: its folder, the step's name, and its input on standard input.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [, , folder, name] = process.argv;
const { initSync, step } = await import(pathToFileURL(join(folder, "sotto_exchange.js")).href);
initSync({ module: readFileSync(join(folder, "sotto_exchange_bg.wasm")) });
process.stdout.write(step(name, readFileSync(0, "utf8")));
