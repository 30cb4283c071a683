/** A relay of a test's own: the real program, on free ports, with its data in a folder that is deleted afterwards. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createSocket } from "node:dgram";
import { createServer, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PROGRAM =
  process.env.SOTTO_TEST_RELAY ?? fileURLToPath(new URL("../../../target/debug/sotto-relay", import.meta.url));

/** How long a relay may take until it listens, on a busy machine. */
const READY_MS = 30_000;

export class Relay {
  private child: ChildProcess | undefined;
  private readonly home = mkdtempSync(join(tmpdir(), "sotto-web-test-"));
  private readonly data = join(this.home, "data");
  private readonly log = join(this.home, "relay.log");
  private http = 0;
  private quic = 0;

  private constructor(private readonly settings: Record<string, string>) {}

  static async start(settings: Record<string, string> = {}): Promise<Relay> {
    if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: build it with \`cargo build --bins\``);
    const relay = new Relay(settings);
    // A browser's page belongs to its origin, so the relay must come back at the same one.
    relay.http = await freePort();
    relay.quic = await freePort(relay.http);
    await relay.run();
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${this.http}/`;
  }

  /** For programs at a terminal. */
  get link(): string {
    return (JSON.parse(readFileSync(join(this.data, "ready.json"), "utf8")) as { link: string }).link;
  }

  async run(): Promise<void> {
    const log = openSync(this.log, "a");
    const child = spawn(PROGRAM, ["run"], {
      stdio: ["ignore", log, log],
      env: { ...process.env, ...this.environment() },
    });
    closeSync(log);
    this.child = child;
    const deadline = Date.now() + READY_MS;
    while (!this.isReady(child.pid)) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`the relay was not ready:\n${readFileSync(this.log, "utf8").slice(-2000)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** SIGKILL: no handler runs, nothing is flushed. */
  async kill(): Promise<void> {
    const child = this.child;
    if (!child) return;
    this.child = undefined;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  /** The chunks of files that lie on its disk, in order. */
  chunks(): string[] {
    const all = readdirSync(this.data, { recursive: true, encoding: "utf8" });
    return all.filter((path) => /\/[0-9a-f]{64}\/\d{5}$/.test(path)).sort().map((path) => join(this.data, path));
  }

  /** The ids of the devices that were registered, in order. */
  devices(): string[] {
    const registered = readFileSync(this.log, "utf8").matchAll(/device registered .*device=([0-9a-f]{32})/g);
    return Array.from(registered, ([, id = ""]) => id);
  }

  /** A command of the program beside the running one, as an operator gives it. */
  command(...args: string[]): string {
    return execFileSync(PROGRAM, args, { encoding: "utf8", env: { ...process.env, ...this.environment() } });
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.home, { recursive: true, force: true });
  }

  private environment(): Record<string, string> {
    return {
      SOTTO_RELAY_DATA_DIR: this.data,
      SOTTO_RELAY_LISTEN: `127.0.0.1:${this.quic}`,
      SOTTO_RELAY_HTTP: `127.0.0.1:${this.http}`,
      SOTTO_RELAY_LIMITS_RATES: "false",
      ...this.settings,
    };
  }

  private isReady(pid: number | undefined): boolean {
    try {
      const ready = JSON.parse(readFileSync(join(this.data, "ready.json"), "utf8")) as { pid: number };
      // A file of a relay that was killed may lie there: only this process's counts.
      return ready.pid === pid;
    } catch {
      return false;
    }
  }
}

/** Each of the processes that run tests beside each other has ports of its own. */
const PORTS = 3_000;
const FIRST_PORT = 20_000 + (Number(process.env.TEST_PARALLEL_INDEX ?? 0) % 4) * PORTS;

/**
 * A port that no system hands out by itself (Linux begins at 32,768), so that it stays free while the relay does not listen yet, or was
 * killed and is to come back: browsers take ports for every connection meanwhile.
 */
async function freePort(taken = 0): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = FIRST_PORT + randomInt(PORTS);
    if (port !== taken && (await isFree(port, "tcp")) && (await isFree(port, "udp"))) return port;
  }
  throw new Error("none of 100 ports of loopback was free");
}

function isFree(port: number, protocol: "tcp" | "udp"): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = protocol === "tcp" ? createServer() : createSocket("udp4");
    socket.once("error", () => resolve(false));
    socket.once("listening", () => socket.close(() => resolve(true)));
    if (socket instanceof Server) socket.listen(port, "127.0.0.1");
    else socket.bind(port, "127.0.0.1");
  });
}
