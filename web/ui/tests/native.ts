/** Somebody at a terminal: the real program `sotto`, with a home of its own. */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

export class Native {
  readonly home = mkdtempSync(join(tmpdir(), "sotto-web-native-"));

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
    const command = promisify(execFile)(PROGRAM, words, {
      timeout: COMMAND_MS,
      env: { ...process.env, SOTTO_HOME: this.home, SOTTO_PASSWORD: PASSWORD, SOTTO_PASSPHRASE: "a passphrase" },
    });
    command.child.stdin?.end(input);
    return (await command).stdout;
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
    rmSync(this.home, { recursive: true, force: true });
  }
}
