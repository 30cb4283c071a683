/** Figures of the relay, fresh every two seconds while somebody looks. */
import { createSignal, For, onCleanup, onMount, Show } from "solid-js";
import { t } from "../i18n/index.ts";
import { bytes, count, span } from "../i18n/time.ts";
import { FailureNote } from "../ui/failure.tsx";
import { operator, type Stats } from "./api.ts";

const EVERY_MS = 2_000;
/** Four minutes. */
const KEPT = 120;

const SHOWN = [
  "connections",
  "messages_per_second",
  "accounts",
  "devices",
  "conversations",
  "messages",
  "storage_bytes",
  "disk_free_bytes",
  "uptime_seconds",
  "version",
] as const;

export function Overview() {
  const [stats, setStats] = createSignal<Stats>();
  const [rates, setRates] = createSignal<number[]>([]);
  const [failure, setFailure] = createSignal<unknown>();
  let timer: number | undefined;
  let gone = false;

  async function look(): Promise<void> {
    try {
      const fresh = await operator.stats();
      if (gone) return;
      setStats(fresh);
      setFailure(undefined);
      setRates((all) => [...all.slice(1 - KEPT), fresh.messages_per_second]);
    } catch (error) {
      if (!gone) setFailure(error);
    }
    if (!gone && !document.hidden) timer = window.setTimeout(() => void look(), EVERY_MS);
  }
  const again = (): void => {
    clearTimeout(timer);
    if (!document.hidden) void look();
  };
  onMount(() => {
    void look();
    document.addEventListener("visibilitychange", again);
  });
  onCleanup(() => {
    gone = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", again);
  });

  const shown = (key: (typeof SHOWN)[number], all: Stats): string => {
    const value = all[key];
    if (value === null || value === undefined) return "–";
    if (typeof value === "string") return value;
    if (key.endsWith("_bytes")) return bytes(value);
    if (key === "uptime_seconds") return span(value);
    return count(Math.round(value * 10) / 10);
  };
  const line = (): string => {
    const all = rates();
    const top = Math.max(1, ...all);
    return all.map((rate, at) => `${at === 0 ? "M" : "L"}${(at / (KEPT - 1)) * 300} ${58 - (rate / top) * 54}`).join("");
  };
  return (
    <>
      <FailureNote error={failure()} />
      <Show when={stats()}>
        {(all) => (
          <>
            <dl class="figures" classList={{ stale: !!failure() }}>
              <For each={SHOWN}>
                {(key) => (
                  <div class="card figure" data-figure={key}>
                    <dt>{t().operator.stats[key]}</dt>
                    <dd>{shown(key, all())}</dd>
                  </div>
                )}
              </For>
            </dl>
            <div class="card">
              <p class="hint">{t().operator.rate}</p>
              <svg class="spark" viewBox="0 0 300 60" preserveAspectRatio="none" role="img" aria-label={t().operator.rate}>
                <path d={line()} />
              </svg>
            </div>
          </>
        )}
      </Show>
    </>
  );
}
