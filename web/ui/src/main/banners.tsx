/** What nobody may overlook: alarms, a store that keeps nothing, a connection that is away, and new versions. */
import { For, Match, Show, Switch } from "solid-js";
import { t } from "../i18n/index.ts";
import { app, conversation, dismissAlarm, titleOf, type State } from "../state/app.ts";
import type { Alarm } from "../state/app.ts";
import { allowNotifications, shouldAsk } from "../state/notify.ts";
import { prefer } from "../state/prefs.ts";
import { outdated, update, updateReady } from "../state/update.ts";
import { openSafety, openSignInAgain } from "../dialogs/open.ts";
import { Icon } from "../ui/icon.tsx";

export function Banners() {
  return (
    <div class="banners">
      <For each={app.alarms}>{(alarm) => <AlarmBanner alarm={alarm} />}</For>
      <Show when={outdated() || updateReady()}>
        <div class="banner note" role="status">
          <Icon name="refresh" />
          <p>{outdated() ? t().status.missingFile : t().status.update}</p>
          <button type="button" class="button small" onClick={update}>
            {t().status.reload}
          </button>
        </div>
      </Show>
      <Show when={app.state?.storage === "memory"}>
        <div class="banner warn" role="status">
          <Icon name="warn" />
          <p>
            <strong>{t().status.memory}</strong> {t().status.memoryHint}
          </p>
        </div>
      </Show>
      <Show when={app.state?.phase === "here" && app.state.status.status === "signed_out"}>
        <div class="banner warn" role="alert">
          <Icon name="warn" />
          <p>{t().status.signedOutHint}</p>
          <button type="button" class="button small" onClick={openSignInAgain}>
            {t().status.signInAgain}
          </button>
        </div>
      </Show>
    </div>
  );
}

function AlarmBanner(props: { alarm: Alarm }) {
  const event = () => props.alarm.event;
  const identity = () => {
    const one = event();
    return one.type === "identity_changed" ? one : undefined;
  };
  const log = () => {
    const one = event();
    return one.type === "log_tampered" ? one : undefined;
  };
  const store = () => {
    const one = event();
    return one.type === "store_failed" ? one : undefined;
  };
  const title = (id: string): string => {
    const one = conversation(id);
    return one ? titleOf(one) : id.slice(0, 8);
  };
  return (
    <div class="banner alarm" role="alert" data-alarm={event().type}>
      <Icon name="warn" />
      <Switch>
        <Match when={identity()}>
          {(one) => (
            <>
              <p>
                <strong>
                  <bdi>{t().status.identityChanged(one().username)}</bdi>
                </strong>{" "}
                {one().was_verified ? t().status.identityWasVerified : t().status.identityHint}
              </p>
              <button type="button" class="button small" onClick={() => openSafety(one().account)}>
                {t().status.compare}
              </button>
            </>
          )}
        </Match>
        <Match when={log()}>
          {(one) => (
            <p>
              <strong>
                <bdi>{t().status.logTampered(title(one().conversation))}</bdi>
              </strong>{" "}
              {t().status.logTamperedHint} <small>{one().text}</small>
            </p>
          )}
        </Match>
        <Match when={store()}>
          {(one) => (
            <p>
              <strong>{one().gone ? t().status.gone : one().full ? t().status.full : t().status.storeFailed}</strong>{" "}
              <small>{one().text}</small>
            </p>
          )}
        </Match>
      </Switch>
      <button
        type="button"
        class="icon-button"
        aria-label={t().common.dismiss}
        onClick={() => dismissAlarm(props.alarm.key)}
      >
        <Icon name="close" />
      </button>
    </div>
  );
}

/** Asked below the list: a question that comes while somebody reaches for a conversation must not move it away. */
export function AskToNotify() {
  return (
    <Show when={shouldAsk()}>
      <div class="banner note ask" role="status">
        <Icon name="bell" />
        <p>{t().notify.ask}</p>
        <span class="row">
          <button type="button" class="button small" onClick={() => void allowNotifications()}>
            {t().notify.yes}
          </button>
          <button type="button" class="button small quiet" onClick={() => prefer({ asked: true })}>
            {t().notify.no}
          </button>
        </span>
      </div>
    </Show>
  );
}

/** One line on how the connection stands, always in sight. */
export function ConnectionState() {
  const status = (): State["status"]["status"] => app.state?.status.status ?? "offline";
  const good = (): boolean => status() === "synchronised";
  const away = (): boolean => ["offline", "connecting", "unreachable"].includes(status());
  const carrier = () => app.state?.status.carrier;
  return (
    <div class="connection" classList={{ good: good(), away: away() }} role="status" aria-label={t().status.label}>
      <span class="connection-dot" aria-hidden="true" />
      <span class="connection-text" title={app.state?.status.text}>
        {t().status[status()]}
        <Show when={good() && carrier()}>{(by) => <span class="connection-via"> · {t().status.via[by()]}</span>}</Show>
      </span>
      <Show when={away()}>
        <span class="connection-hint">{t().status.queueing}</span>
      </Show>
      <Show when={status() === "refused" && app.state?.status.text}>
        <span class="connection-hint">{app.state?.status.text}</span>
      </Show>
    </div>
  );
}
