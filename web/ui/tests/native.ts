/** Somebody at a terminal: the real program `sotto`, with a home of its own. */
import { type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Relay } from "./relay.ts";
import { PASSWORD } from "./support.ts";

const PROGRAM = process.env.SOTTO_TEST_NODE ?? fileURLToPath(new URL("../../../target/debug/sotto", import.meta.url));

/** How long a command may take, on a busy machine. */
const COMMAND_MS = 60_000;

export interface Line {
  account: string;
  username: string;
  kind: string;
  text?: string;
  own: boolean;
}

/** A command that goes on, and says what happens by an object a line. */
export class Going {
  readonly said: Record<string, unknown>[] = [];
  /** What it says to people: where it fails, why. */
  errors = "";
  /** Its exit code. */
  readonly ended: Promise<number | null>;

  constructor(private readonly child: ChildProcessByStdio<null, Readable, Readable>) {
    createInterface({ input: child.stdout }).on("line", (line) => this.said.push(JSON.parse(line)));
    child.stderr.on("data", (text) => (this.errors += text));
    this.ended = new Promise((resolve) => child.once("close", resolve));
  }

  signal(name: "SIGINT" | "SIGKILL"): void {
    this.child.kill(name);
  }
}

export class Native {
  readonly home = mkdtempSync(join(tmpdir(), "sotto-web-native-"));
  private readonly going: Going[] = [];

  private constructor(readonly name: string) {}

  static async register(relay: Relay, name: string): Promise<Native> {
    if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: build it with \`cargo build --bins\``);
    const native = new Native(name);
    await native.does("register", "--relay", relay.link, "--username", name, "--email", `${name}@example.org`);
    return native;
  }

  /** A command to its good end; what it printed. */
  async does(...words: string[]): Promise<string> {
    return this.doesWith("", ...words);
  }

  private async doesWith(input: string, ...words: string[]): Promise<string> {
    const command = promisify(execFile)(PROGRAM, words, { timeout: COMMAND_MS, env: this.environment });
    command.child.stdin?.end(input);
    return (await command).stdout;
  }

  private get environment(): NodeJS.ProcessEnv {
    return { ...process.env, SOTTO_HOME: this.home, SOTTO_PASSWORD: PASSWORD, SOTTO_PASSPHRASE: "a passphrase" };
  }

  /** Starts a command that goes on, until this one leaves at the latest. */
  begins(...words: string[]): Going {
    const going = new Going(spawn(PROGRAM, ["--json", ...words], { env: this.environment, stdio: ["ignore", "pipe", "pipe"] }));
    this.going.push(going);
    return going;
  }

  /** Sends each of the texts, in one go. */
  async sends(conversation: string, texts: string[]): Promise<void> {
    await this.doesWith(texts.join("\n"), "send", "--lines", conversation);
  }

  /** What it reads of a conversation. */
  async reads(conversation: string): Promise<Line[]> {
    const lines = await this.does("history", conversation, "--json");
    return lines
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Line);
  }

  /** The texts of a conversation, in order. */
  async texts(conversation: string): Promise<string[]> {
    return (await this.reads(conversation)).flatMap((line) => (line.kind === "text" && line.text ? [line.text] : []));
  }

  leave(): void {
    for (const going of this.going) going.signal("SIGKILL");
    rmSync(this.home, { recursive: true, force: true });
  }
}
