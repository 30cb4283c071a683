/** Lists of the account that the relay keeps: devices and sessions; and counters of this device. */
import { For, Show } from "solid-js";
import { t } from "../i18n/index.ts";
import { count, fullOf } from "../i18n/time.ts";
import { call } from "../state/app.ts";
import { FailureNote } from "../ui/failure.tsx";
import { createLoad } from "../ui/load.ts";
import { attempt, confirmed } from "../ui/overlay.tsx";

export function Devices() {
  const devices = createLoad(() => call("devices"));
  async function remove(device: string, name: string): Promise<void> {
    if (!(await confirmed(t().settings.removeDeviceSure(name), t().settings.removeDevice))) return;
    await attempt(() => call("remove_device", { device }));
    void devices.again();
  }
  return (
    <>
      <FailureNote error={devices.error()} />
      <ul class="rows" role="list">
        <For each={devices.value()}>
          {(one) => (
            <li>
              <div class="rows-main">
                <bdi>{one.name || one.device.slice(0, 8)}</bdi>
                <span class="hint">{t().settings.since(fullOf(one.created_at))}</span>
              </div>
              <Show
                when={!one.own}
                fallback={<span class="badge">{t().settings.thisDevice}</span>}
              >
                <button
                  type="button"
                  class="button small quiet"
                  aria-label={`${t().settings.removeDevice} ${one.name}`}
                  onClick={() => void remove(one.device, one.name)}
                >
                  {t().settings.removeDevice}
                </button>
              </Show>
            </li>
          )}
        </For>
      </ul>
    </>
  );
}

/** "Firefox on Linux" of what browsers call themselves; other programs by their own word. */
function agentName(agent: string): string {
  const browser = /Firefox|Edg|OPR|Chrome|Safari/.exec(agent)?.[0];
  if (!browser) return agent.slice(0, 60);
  const names: Record<string, string> = { Edg: "Edge", OPR: "Opera" };
  const system = /Android|iPhone|iPad|Windows|Mac OS|Linux/.exec(agent)?.[0];
  return `${names[browser] ?? browser}${system ? `, ${system}` : ""}`;
}

export function Sessions() {
  const sessions = createLoad(() => call("sessions"));
  async function end(id: string): Promise<void> {
    if (!(await confirmed(t().settings.endSessionSure, t().settings.endSession))) return;
    await attempt(() => call("end_session", { id }));
    void sessions.again();
  }
  return (
    <>
      <FailureNote error={sessions.error()} />
      <ul class="rows" role="list">
        <For each={sessions.value()}>
          {(one) => (
            <li>
              <div class="rows-main">
                <bdi title={one.agent}>{agentName(one.agent) || t().settings.since(fullOf(one.created_at))}</bdi>
                <span class="hint">{t().settings.lastUsed(fullOf(one.last_used_at))}</span>
              </div>
              <Show when={!one.current} fallback={<span class="badge">{t().settings.thisSession}</span>}>
                <button
                  type="button"
                  class="button small quiet"
                  aria-label={`${t().settings.endSession} ${agentName(one.agent)}`}
                  onClick={() => void end(one.id)}
                >
                  {t().settings.endSession}
                </button>
              </Show>
            </li>
          )}
        </For>
      </ul>
    </>
  );
}

export function Health() {
  const stats = createLoad(() => call("stats"));
  const rows = (counters: Record<string, number> | undefined): [string, number][] =>
    Object.entries(counters ?? {}).filter(([, value]) => value > 0);
  const part = (title: string, counters: () => Record<string, number> | undefined) => (
    <div>
      <dt>{title}</dt>
      <dd>
        <For each={rows(counters())} fallback={t().settings.none}>
          {([name, value]) => (
            <span class="counter">
              {name.replaceAll("_", " ")} {count(value)}
            </span>
          )}
        </For>
      </dd>
    </div>
  );
  return (
    <>
      <FailureNote error={stats.error()} />
      <dl class="facts-list">
        {part(t().settings.failures, () => stats.value()?.failures)}
        {part(t().settings.repairs, () => stats.value()?.repairs)}
      </dl>
    </>
  );
}
