/** How far a file is: a bar, and in words how much, how fast and how long still. */
import { Show } from "solid-js";
import { bytes, span } from "../i18n/time.ts";
import { isAway, type Transfer } from "./transfers.ts";
import { words } from "./words.ts";

export function Progress(props: { of: Transfer }) {
  const moving = (): boolean => props.of.stage === "checking" || props.of.stage === "moving";
  const text = (): string => {
    const { stage, done, bytes: all, rate, waiting, paused } = props.of;
    if (paused) return words().paused;
    if (waiting || (isAway() && moving())) return words().waiting;
    if (stage === "queued") return words().queued;
    if (stage === "checking") return words().checking;
    if (stage === "saying") return words().saying;
    const parts = [words().moving(bytes(done), bytes(all))];
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
