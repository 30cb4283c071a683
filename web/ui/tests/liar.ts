/** A relay that lies to whoever comes to its address: `lying-relay` of tests/src/bin, between a browser and the real one. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Relay } from "./relay.ts";

const PROGRAM = process.env.SOTTO_TEST_LIAR ?? fileURLToPath(new URL("../../../target/debug/lying-relay", import.meta.url));

/** How long a lie may take until it is told, on a busy machine. */
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
  private readonly told: string[] = [];
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

  /** Lies so from now on. */
  tell(lie: Lie): void {
    this.told.length = 0;
    this.child.stdin.write(`${lie}\n`);
  }

  /** Ends every connection; browsers come back. */
  cut(): void {
    this.child.stdin.write("cut\n");
  }

  /** Waits until this lie was told so often since it was chosen: a test that saw none shows nothing. */
  async hasTold(lie: Lie, times = 1): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (this.told.filter((one) => one === lie).length < times) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`the lie "${lie}" was told ${this.told.length} times, not ${times}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  stop(): void {
    this.child.stdin.end();
  }

  private async listen(lines: AsyncIterator<string>): Promise<void> {
    for (let line = await lines.next(); !line.done; line = await lines.next()) {
      this.told.push(line.value.replace(/^told /, ""));
      for (const wake of this.waiting.splice(0)) wake();
    }
  }
}
