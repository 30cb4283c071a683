/** How far a file is: a bar, and in words how much, how fast and how long still. */
import { Show } from "solid-js";
import { bytes, span } from "../i18n/time.ts";
import { conversation, nameOf } from "../state/app.ts";
import { isAway, type Transfer } from "./transfers.ts";
import { words } from "./words.ts";

/** From whom it comes, where not all of it is the relay's. */
export function fromWhom({ origins, conversation: id }: Transfer): string | undefined {
  const gave = (origins ?? []).filter((one) => one.bytes > 0);
  if (!gave.some((one) => one.account)) return undefined;
  const names = (routed: boolean): string => {
    const by = new Map<string, number>();
    for (const one of gave)
      if (one.account && (one.routed ?? false) === routed) by.set(one.account, (by.get(one.account) ?? 0) + one.bytes);
    return [...by].map(([account, sum]) => `${nameOf(account, conversation(id))} (${bytes(sum)})`).join(", ");
  };
  const [directly, routed] = [names(false), names(true)];
  const relay = gave.reduce((sum, one) => sum + (one.account ? 0 : one.bytes), 0);
  const { directly: near, routed: far, fromServer } = words();
  return [directly && near(directly), routed && far(routed), relay > 0 && fromServer(bytes(relay))].filter(Boolean).join(", ");
}

export function Progress(props: { of: Transfer }) {
  const moving = (): boolean => props.of.stage === "checking" || props.of.stage === "moving";
  const text = (): string => {
    const { stage, done, bytes: all, rate, waiting, paused } = props.of;
    if (paused) return words().paused;
    if (waiting || (isAway() && moving())) return words().waiting;
    if (stage === "queued") return words().queued;
    if (stage === "checking") return words().checking;
    if (stage === "saying") return words().saying;
    if (stage === "ready") return words().ready;
    const parts = [words().moving(bytes(done), bytes(all))];
    const from = fromWhom(props.of);
    if (from) parts.push(from);
    if (rate) parts.push(words().rate(bytes(rate)), words().left(span(Math.max(1, (all - done) / rate))));
    return parts.join(" · ");
  };
  // Reading before sending is the first tenth of the way.
  const value = (): number => {
    const { what, stage, done, bytes: all } = props.of;
    const part = all === 0 ? 1 : done / all;
    if (stage === "queued") return 0;
    if (what !== "send") return part;
    return stage === "checking" ? part * 0.1 : stage === "moving" ? 0.1 + part * 0.9 : 1;
  };
  return (
    <Show when={!props.of.failure && props.of.stage !== "done"}>
      <progress class="file-progress" max="1" value={value()} aria-label={words().progress(props.of.name)} />
      <span class="file-state">{text()}</span>
    </Show>
  );
}
