/** Lists of the account that the relay keeps: devices and sessions; and counters of this device. */
import { For, Show, type JSX } from "solid-js";
import { namesOf } from "../engine/agent.ts";
import { t } from "../i18n/index.ts";
import { count, fullOf } from "../i18n/time.ts";
import { call } from "../state/app.ts";
import { FailureNote } from "../ui/failure.tsx";
import { createLoad } from "../ui/load.ts";
import { attempt, confirmed } from "../ui/overlay.tsx";

/** One of a list that can be ended, unless it is the one that the person is at. */
function Entry(props: {
  title: JSX.Element;
  hint: string;
  here: string | false;
  end: string;
  /** What is ended, for who cannot see where the button stands. */
  of: string;
  onEnd: () => void;
}) {
  return (
    <li>
      <div class="rows-main">
        {props.title}
        <span class="hint">{props.hint}</span>
      </div>
      <Show when={!props.here} fallback={<span class="badge">{props.here}</span>}>
        <button type="button" class="button small quiet" aria-label={`${props.end} ${props.of}`} onClick={props.onEnd}>
          {props.end}
        </button>
      </Show>
    </li>
  );
}

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
            <Entry
              title={<bdi>{one.name || one.device.slice(0, 8)}</bdi>}
              hint={t().settings.since(fullOf(one.created_at))}
              here={one.own && t().settings.thisDevice}
              end={t().settings.removeDevice}
              of={one.name}
              onEnd={() => void remove(one.device, one.name)}
            />
          )}
        </For>
      </ul>
    </>
  );
}

/** "Firefox on Linux" of what browsers call themselves; other programs by their own word. */
function agentName(agent: string): string {
  const { browser, system } = namesOf(agent);
  if (!browser) return agent.slice(0, 60);
  return `${browser}${system ? `, ${system}` : ""}`;
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
            <Entry
              title={<bdi title={one.agent}>{agentName(one.agent) || t().settings.since(fullOf(one.created_at))}</bdi>}
              hint={t().settings.lastUsed(fullOf(one.last_used_at))}
              here={one.current && t().settings.thisSession}
              end={t().settings.endSession}
              of={agentName(one.agent)}
              onEnd={() => void end(one.id)}
            />
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
