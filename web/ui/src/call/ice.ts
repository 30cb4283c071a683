/** What calls and links of files have in common: servers that the relay lends, and candidates that go out together. */
import type { Way } from "../engine/api.ts";
import { call } from "../state/app.ts";

/** Candidates that are found within a moment go out together. */
const GATHER_MS = 40;
/** As many as one signal carries (`CANDIDATES_PER_SIGNAL_MAX`). */
const TOGETHER_MAX = 24;

interface Lent {
  ice_servers: RTCIceServer[];
}

/** What the relay lends. Without it, devices that reach each other directly still do. */
export async function iceServers(): Promise<RTCIceServer[]> {
  try {
    return ((await call("http", { method: "GET", path: "/ice" })) as Lent).ice_servers;
  } catch {
    return [];
  }
}

/** Takes a candidate of the other end. One that this browser cannot use is no loss. */
export async function addWay(pc: RTCPeerConnection, { line, mid, section }: Way): Promise<void> {
  const candidate = line ? { candidate: line, sdpMid: mid, sdpMLineIndex: section } : undefined;
  await pc.addIceCandidate(candidate).catch(() => undefined);
}

/** Gathers the candidates of one connection. */
export class Gathering {
  private found: Way[] = [];
  private round = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly give: (round: number, list: Way[]) => void) {}

  add({ candidate, sdpMid, sdpMLineIndex }: RTCIceCandidate, round: number): void {
    if (round !== this.round) this.flush();
    this.round = round;
    this.found.push({ line: candidate, mid: sdpMid, section: sdpMLineIndex });
    if (this.found.length >= TOGETHER_MAX) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), GATHER_MS);
  }

  close(): void {
    clearTimeout(this.timer);
    this.found = [];
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const list = this.found.splice(0);
    if (list.length > 0) this.give(this.round, list);
  }
}
