/** Settings: the account and its devices, privacy, looks, notifications, and how this installation does. */
import { Show, type JSX } from "solid-js";
import { openInvite, openKeys, openWords } from "../dialogs/open.ts";
import { words as fileWords } from "../files/words.ts";
import { t } from "../i18n/index.ts";
import { bytes, span } from "../i18n/time.ts";
import { app, call } from "../state/app.ts";
import { canInstall, install } from "../state/install.ts";
import { allowNotifications } from "../state/notify.ts";
import { prefer, prefs, type Language, type Theme } from "../state/prefs.ts";
import { to } from "../state/route.ts";
import { Avatar } from "../ui/avatar.tsx";
import { createAction, FailureNote } from "../ui/failure.tsx";
import { Choice, Switch } from "../ui/field.tsx";
import { Icon } from "../ui/icon.tsx";
import { attempt, confirmed } from "../ui/overlay.tsx";
import { Page } from "../ui/page.tsx";
import { Devices, Health, Sessions } from "./account.tsx";

/** From how large on pictures wait until they are asked for. */
const PICTURE_BYTES = [0, 1_000_000, 5_000_000, 20_000_000, 100_000_000];
/** A clock that is further off than this is worth a word. */
const CLOCK_OFF_MS = 60_000;

export default function Settings() {
  const leaving = createAction();
  const blocked = (): boolean => "Notification" in window && Notification.permission === "denied";

  async function words(): Promise<void> {
    if (!(await confirmed(t().words.confirm, t().words.show, false))) return;
    const shown = await attempt(() => call("recovery_words"));
    if (shown) openWords(shown.words);
  }

  async function signOut(): Promise<void> {
    if (!(await confirmed(t().settings.signOutSure, t().settings.signOut))) return;
    await leaving.run(() => call("sign_out"));
    location.hash = "#/";
  }

  async function notify(on: boolean): Promise<void> {
    if (on && Notification.permission !== "granted") await allowNotifications();
    else prefer({ notify: on, asked: true });
  }

  return (
    <Page title={t().settings.title}>
      <div class="page-body">
        <div class="card profile">
          <Avatar id={app.state?.account ?? ""} name={app.state?.username ?? ""} size="large" />
          <div class="profile-names">
            <bdi class="profile-name">{app.state?.username}</bdi>
            <bdi class="hint">{app.state?.email}</bdi>
            <Show when={app.state?.role === "operator"}>
              <span class="badge">{t().settings.role["operator"]}</span>
            </Show>
          </div>
        </div>

        <Section title={t().settings.account}>
          <button type="button" class="row-button" onClick={() => void words()}>
            <Icon name="lock" />
            <span>
              {t().settings.recoveryShow}
              <span class="hint">{t().settings.recoveryHint}</span>
            </span>
          </button>
          <button type="button" class="row-button" onClick={() => openInvite()}>
            <Icon name="link" />
            <span>{t().settings.invitePeople}</span>
          </button>
          <Show when={app.state?.role === "operator"}>
            <a class="row-button" href={to.operator()}>
              <Icon name="chart" />
              <span>{t().settings.operator}</span>
            </a>
          </Show>
        </Section>

        <Section title={t().settings.devices} hint={t().settings.devicesHint}>
          <Devices />
        </Section>
        <Section title={t().settings.sessions} hint={t().settings.sessionsHint}>
          <Sessions />
        </Section>

        <Section title={t().settings.privacy}>
          <Switch
            label={t().settings.invisible}
            hint={t().settings.invisibleHint}
            on={app.state?.invisible ?? false}
            onChange={(on) => attempt(() => call("set_invisible", { on }))}
          />
          <Switch
            label={t().settings.relayOnly}
            hint={t().settings.relayOnlyHint}
            on={prefs.relayOnly}
            onChange={(relayOnly) => prefer({ relayOnly })}
          />
        </Section>

        <Section title={t().settings.appearance}>
          <div class="two">
            <Choice<Language>
              label={t().settings.language}
              value={prefs.language}
              options={[
                ["en", "English"],
                ["ru", "Русский"],
              ]}
              onValue={(language) => prefer({ language })}
            />
            <Choice<Theme>
              label={t().settings.theme}
              value={prefs.theme}
              options={(["system", "light", "dark"] as const).map((one) => [one, t().settings.themes[one]] as const)}
              onValue={(theme) => prefer({ theme })}
            />
          </div>
          <Switch
            label={t().settings.enterSends}
            hint={t().settings.enterSendsHint}
            on={prefs.enterSends}
            onChange={(enterSends) => prefer({ enterSends })}
          />
        </Section>

        <Section title={fileWords().autoTitle}>
          <Choice
            label={fileWords().auto}
            hint={fileWords().autoHint}
            value={String(prefs.pictureBytes)}
            options={PICTURE_BYTES.map((most) => [String(most), most === 0 ? fileWords().never : fileWords().upTo(bytes(most))] as const)}
            onValue={(most) => prefer({ pictureBytes: Number(most) })}
          />
        </Section>

        <Show when={"Notification" in window}>
          <Section title={t().settings.notifications}>
            <Switch
              label={t().settings.notify}
              hint={blocked() ? t().settings.notifyDenied : t().settings.notifyHint}
              on={prefs.notify && !blocked()}
              disabled={blocked()}
              onChange={notify}
            />
            <Switch
              label={t().settings.preview}
              on={prefs.preview}
              disabled={!prefs.notify}
              onChange={(preview) => prefer({ preview })}
            />
          </Section>
        </Show>

        <Section title={t().settings.health} hint={t().settings.healthHint}>
          <Health />
        </Section>

        <Section title={t().settings.connection}>
          <dl class="facts-list">
            <Fact label={t().settings.server}>
              <bdi>{location.host}</bdi>
            </Fact>
            <Fact label={t().settings.version}>{app.about?.version ?? "–"}</Fact>
            <Fact label={t().status.label}>
              {t().status[app.state?.status.status ?? "offline"]}
              <Show when={app.state?.status.carrier}>{(by) => <> · {t().status.via[by()]}</>}</Show>
            </Fact>
            <Fact label={t().settings.storage}>
              {app.state?.storage === "memory" ? t().settings.storageMemory : t().settings.storageKept}
            </Fact>
          </dl>
          <Show when={Math.abs(app.state?.clock_offset_ms ?? 0) > CLOCK_OFF_MS}>
            <p class="note warn">
              <Icon name="warn" />
              <span>{t().settings.clock(span(Math.abs(app.state?.clock_offset_ms ?? 0) / 1000))}</span>
            </p>
          </Show>
          <Show when={canInstall()}>
            <button type="button" class="row-button" onClick={() => void install()}>
              <Icon name="down" />
              <span>{t().settings.install}</span>
            </button>
          </Show>
          <button type="button" class="row-button" onClick={openKeys}>
            <Icon name="info" />
            <span>{t().settings.shortcuts}</span>
          </button>
        </Section>

        <Section title={t().settings.signOut} hint={t().settings.signOutHint}>
          <FailureNote error={leaving.failure()} />
          <button type="button" class="button danger" disabled={leaving.busy()} onClick={() => void signOut()}>
            <Icon name="out" />
            {leaving.busy() ? t().settings.signingOut : t().settings.signOut}
          </button>
        </Section>
      </div>
    </Page>
  );
}

function Section(props: { title: string; hint?: string; children: JSX.Element }) {
  return (
    <section class="card settings-section" aria-label={props.title}>
      <h2>{props.title}</h2>
      <Show when={props.hint}>
        <p class="hint">{props.hint}</p>
      </Show>
      {props.children}
    </section>
  );
}

function Fact(props: { label: string; children: JSX.Element }) {
  return (
    <div>
      <dt>{props.label}</dt>
      <dd>{props.children}</dd>
    </div>
  );
}

