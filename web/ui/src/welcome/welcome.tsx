/** The first screen: a new account, one that was here before, or a further device by recovery words. */
import { createEffect, createMemo, createSignal, Match, onMount, Show, Switch } from "solid-js";
import { t } from "../i18n/index.ts";
import { app, askAbout, call, failureOf } from "../state/app.ts";
import { keepForGood } from "../state/install.ts";
import { route } from "../state/route.ts";
import { prefer, prefs } from "../state/prefs.ts";
import { createAction, explain, FailureNote } from "../ui/failure.tsx";
import { Field } from "../ui/field.tsx";
import { Icon, Logo } from "../ui/icon.tsx";
import { remark } from "../ui/overlay.tsx";
import { rove } from "../ui/roving.ts";
import { invite, redeem, setAtTheDoor, setInvite, setNewWords, takeInvite } from "./flow.ts";

type Tab = "register" | "signIn" | "recover";
const WORDS = 24;

export default function Welcome() {
  const [tab, setTab] = createSignal<Tab>("register");
  const [name, setName] = createSignal("");
  const [email, setEmail] = createSignal("");
  const [password, setPassword] = createSignal("");
  const [words, setWords] = createSignal("");
  const action = createAction();
  const [invited, setInvited] = createSignal(invite() !== "");
  createEffect(() => {
    if (route().page === "invite") setInvited(takeInvite() !== "");
  });
  onMount(() => {
    if (!app.about) void askAbout();
  });

  const wordCount = createMemo(() => words().split(/\s+/u).filter(Boolean).length);
  const choose = (next: Tab): void => {
    setTab(next);
    action.reset();
  };

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const code = invite().trim();
    setAtTheDoor(true);
    await action.run(async () => {
      if (tab() === "register") {
        const made = await call("register", {
          username: name().trim(),
          email: email().trim(),
          password: password(),
          ...(code && { invite: code }),
        });
        setNewWords(made.words);
        return;
      }
      if (tab() === "signIn") {
        try {
          await call("sign_in", { name: name().trim(), password: password() });
        } catch (error) {
          if (failureOf(error).code === "needs_recovery") setTab("recover");
          throw error;
        }
      } else {
        await call("recover", { name: name().trim(), password: password(), words: words().trim() });
        keepForGood();
      }
    });
    const inside = app.state?.phase === "here";
    setAtTheDoor(false);
    // The invite that made an account may lead into a conversation too, or have been for that alone.
    if (inside && code) await redeem(code).catch((error: unknown) => tab() !== "register" && remark(explain(error), true));
  }

  const tabs = (): [Tab, string][] => [
    ["register", t().welcome.register],
    ["signIn", t().welcome.signIn],
    ["recover", t().welcome.recover],
  ];
  const label = (): string =>
    tab() === "register" ? t().welcome.create : tab() === "signIn" ? t().welcome.signIn : t().welcome.recover;
  const working = (): string =>
    tab() === "register" ? t().welcome.registering : tab() === "signIn" ? t().welcome.signingIn : t().welcome.recovering;

  return (
    <main class="welcome">
      <div class="welcome-language">
        <button
          type="button"
          class="link"
          lang={prefs.language === "en" ? "ru" : "en"}
          onClick={() => prefer({ language: prefs.language === "en" ? "ru" : "en" })}
        >
          {prefs.language === "en" ? "Русский" : "English"}
        </button>
      </div>
      <header class="welcome-head">
        <Logo />
        <h1>Sotto</h1>
        <p>{t().welcome.tagline}</p>
      </header>
      <section class="card welcome-card">
        <Show when={invited()}>
          <p class="note">
            <Icon name="link" />
            <span>{t().welcome.invited}</span>
          </p>
        </Show>
        <div
          class="tabs"
          role="tablist"
          aria-label={t().welcome.tabs}
          onKeyDown={(event) => rove(event, "[role=tab]", true)}
        >
          {tabs().map(([key]) => (
            <button
              type="button"
              role="tab"
              id={`tab-${key}`}
              aria-controls="welcome-form"
              aria-selected={tab() === key}
              tabindex={tab() === key ? 0 : -1}
              onClick={() => choose(key)}
              onFocus={() => tab() !== key && choose(key)}
            >
              {tabs().find(([other]) => other === key)?.[1]}
            </button>
          ))}
        </div>
        <div id="welcome-form" role="tabpanel" aria-labelledby={`tab-${tab()}`}>
        <form onSubmit={submit}>
          <Switch>
            <Match when={tab() === "register" && app.about?.registration === "closed"}>
              <p class="note warn">
                <Icon name="warn" />
                <span>{t().welcome.closed}</span>
              </p>
            </Match>
            <Match when={tab() === "recover"}>
              <p class="hint">{t().welcome.recoverWhy}</p>
            </Match>
          </Switch>
          <Field
            label={tab() === "register" ? t().welcome.username : t().welcome.name}
            {...(tab() === "register" && { hint: t().welcome.usernameHint, minlength: 2 })}
            name="username"
            value={name()}
            onValue={setName}
            autocomplete="username"
            autocapitalize="none"
            spellcheck={false}
            maxlength={tab() === "register" ? 32 : 254}
            required
          />
          <Show when={tab() === "register"}>
            <Field
              label={t().welcome.email}
              name="email"
              type="email"
              value={email()}
              onValue={setEmail}
              autocomplete="email"
              maxlength={254}
              required
            />
          </Show>
          <Field
            label={t().welcome.password}
            {...(tab() === "register" && { hint: t().welcome.passwordHint, minlength: 8 })}
            name="password"
            type="password"
            value={password()}
            onValue={setPassword}
            autocomplete={tab() === "register" ? "new-password" : "current-password"}
            maxlength={256}
            required
          />
          <Show when={tab() === "register" && (invited() || app.about?.registration === "invite")}>
            <Field
              label={t().welcome.invite}
              hint={t().welcome.inviteHint}
              name="invite"
              value={invite()}
              onValue={setInvite}
              autocomplete="off"
              autocapitalize="none"
              spellcheck={false}
              maxlength={2048}
              required={app.about?.registration === "invite"}
            />
          </Show>
          <Show when={tab() === "recover"}>
            <div class="field">
              <label for="words">{t().welcome.words}</label>
              <textarea
                id="words"
                name="words"
                rows="4"
                maxlength="1000"
                autocapitalize="none"
                autocomplete="off"
                spellcheck={false}
                required
                aria-describedby="words-count"
                value={words()}
                onInput={(event) => setWords(event.currentTarget.value)}
              />
              <p class="hint" id="words-count">
                {t().welcome.wordsHint(wordCount())}. {t().welcome.noWords}
              </p>
            </div>
          </Show>
          <FailureNote error={action.failure()} />
          <button
            type="submit"
            class="button primary wide"
            disabled={action.busy() || (tab() === "recover" && wordCount() !== WORDS)}
            aria-busy={action.busy()}
          >
            {action.busy() ? working() : label()}
          </button>
        </form>
        </div>
      </section>
      <p class="welcome-promise">
        <Icon name="lock" />
        <span>{t().welcome.promise}</span>
      </p>
      <Show when={app.about}>
        <p class="welcome-server">
          <bdi>{location.host}</bdi> · <bdi>{app.about?.version}</bdi>
        </p>
      </Show>
    </main>
  );
}
