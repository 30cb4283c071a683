/** A relay that lies to whoever comes to its address: `lying-relay` of tests/src/bin, between a browser and the real one. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Relay } from "./relay.ts";

const PROGRAM = process.env.SOTTO_TEST_LIAR ?? fileURLToPath(new URL("../../../target/debug/lying-relay", import.meta.url));

/** How long a lie may take until it is heard, and told, on a busy machine. */
const PATIENCE_MS = 30_000;

export type Lie =
  | "none"
  | "repeat"
  | "reorder"
  | "drop"
  | "alter"
  | "alter-both"
  | "relabel"
  | "rewind"
  | "swap"
  | "forge";

export class Liar {
  readonly url: string;
  /** What it said since the lie of now was chosen. */
  private said: string[] = [];
  private waiting: (() => void)[] = [];

  private constructor(
    private readonly child: ChildProcessByStdio<Writable, Readable, null>,
    port: string,
    lines: AsyncIterator<string>,
  ) {
    this.url = `http://127.0.0.1:${port}/`;
    void this.listen(lines);
  }

  static async before(relay: Relay): Promise<Liar> {
    if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: build it with \`cargo build --workspace --bins\``);
    const child = spawn(PROGRAM, [new URL(relay.url).host], { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const port = /^port (\d+)$/.exec((await lines.next()).value ?? "")?.[1];
    if (!port) throw new Error("the lying relay names no port");
    return new Liar(child, port, lines);
  }

  /** Lies so from now on: it has heard it when this returns. */
  async tell(lie: Lie): Promise<void> {
    this.said = [];
    this.child.stdin.write(`${lie}\n`);
    await this.until(() => this.said.includes(`now ${lie}`), () => `the lying relay does not hear "${lie}"`);
    this.said = this.said.slice(this.said.indexOf(`now ${lie}`) + 1);
  }

  /** Ends every connection; browsers come back. */
  cut(): void {
    this.child.stdin.write("cut\n");
  }

  /** Waits until this lie was told since it was chosen: a test that saw none shows nothing. */
  async hasTold(lie: Lie): Promise<void> {
    await this.until(() => this.said.includes(`told ${lie}`), () => `the lie "${lie}" was not told, but ${this.said.join(", ")}`);
  }

  stop(): void {
    this.child.stdin.end();
  }

  private async until(fits: () => boolean, why: () => string): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!fits()) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(why());
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  private async listen(lines: AsyncIterator<string>): Promise<void> {
    for (let line = await lines.next(); !line.done; line = await lines.next()) {
      this.said.push(line.value);
      for (const wake of this.waiting.splice(0)) wake();
    }
  }
}
