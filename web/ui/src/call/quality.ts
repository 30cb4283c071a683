/** How good a connection is, from what the browser counts. */
import { words } from "./words.ts";

export interface Quality {
  relayed: boolean;
  /** In milliseconds. */
  roundTrip: number | undefined;
  /** Of what was sent to us since the last look, in percent. */
  loss: number;
  /** Both directions, in bits a second. */
  bitrate: number;
}

/** Sums at the last look. */
export interface Counters {
  at: number;
  bytes: number;
  packets: number;
  lost: number;
}

type Entry = Record<string, unknown> & { type: string };

const number = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0);

export function measure(stats: RTCStatsReport, before: Counters | undefined): { quality: Quality; counters: Counters } {
  const entries = [...(stats.values() as Iterable<Entry>)];
  const transport = entries.find((one) => one.type === "transport");
  const pair = stats.get(String(transport?.["selectedCandidatePairId"])) as Entry | undefined;
  // Firefox counts by pairs of addresses only.
  const carried = transport && "bytesReceived" in transport ? transport : pair;
  const end = (name: string): Entry | undefined => stats.get(String(pair?.[name])) as Entry | undefined;
  const inbound = entries.filter((one) => one.type === "inbound-rtp");
  const sum = (name: string): number => inbound.reduce((all, one) => all + number(one[name]), 0);
  const counters: Counters = {
    at: performance.now(),
    bytes: number(carried?.["bytesReceived"]) + number(carried?.["bytesSent"]),
    packets: sum("packetsReceived"),
    lost: sum("packetsLost"),
  };
  const lost = Math.max(0, counters.lost - (before?.lost ?? 0));
  const came = Math.max(0, counters.packets - (before?.packets ?? 0));
  const seconds = before ? Math.max(0.1, (counters.at - before.at) / 1000) : 0;
  const heardBack = entries.find((one) => one.type === "remote-inbound-rtp");
  const roundTrip = pair?.["currentRoundTripTime"] ?? heardBack?.["roundTripTime"];
  return {
    counters,
    quality: {
      relayed: [end("localCandidateId"), end("remoteCandidateId")].some((one) => one?.["candidateType"] === "relay"),
      roundTrip: typeof roundTrip === "number" ? Math.round(roundTrip * 1000) : undefined,
      loss: lost + came > 0 ? (100 * lost) / (lost + came) : 0,
      bitrate: before && seconds > 0 ? (8 * Math.max(0, counters.bytes - before.bytes)) / seconds : 0,
    },
  };
}

/** A line about it: the way, the round trip, what was lost, the rate. */
export function qualityText(quality: Quality | undefined): string {
  if (!quality) return "";
  const { loss, bitrate } = quality;
  return [wayText(quality), words().loss(loss.toFixed(loss < 10 ? 1 : 0)), words().rate(String(Math.round(bitrate / 1000)))].join(" · ");
}

/** The first half of it. */
export function wayText({ relayed, roundTrip }: Quality): string {
  return [relayed ? words().relayed : words().direct, ...(roundTrip === undefined ? [] : [words().ms(roundTrip)])].join(" · ");
}
