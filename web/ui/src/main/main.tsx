/** The screen of somebody who is signed in: the list, and beside it (on a phone over it) what is open. */
import { createEffect, createSignal, lazy, Match, onCleanup, onMount, Show, Suspense, Switch } from "solid-js";
import { t } from "../i18n/index.ts";
import { app, conversation } from "../state/app.ts";
import { openId, route } from "../state/route.ts";
import { takeInvite } from "../welcome/flow.ts";
import { openRedeem } from "../dialogs/open.ts";
import { Conversation } from "../chat/conversation.tsx";
import { Icon, Logo } from "../ui/icon.tsx";
import { Banners } from "./banners.tsx";
import { watchKeys } from "./keys.ts";
import { Sidebar } from "./sidebar.tsx";

const Settings = lazy(() => import("../settings/settings.tsx"));
const Operator = lazy(() => import("../operator/operator.tsx"));

export function Main() {
  onMount(() => onCleanup(watchKeys()));
  createEffect(() => {
    if (route().page !== "invite") return;
    openRedeem(takeInvite());
  });
  const open = () => conversation(openId());
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        document.getElementById("main")?.focus();
      }}>
        {t().common.skip}
      </a>
      <Banners />
      <main class="layout" data-page={route().page === "home" || route().page === "invite" ? "home" : "inside"}>
        <Sidebar />
        <div id="main" class="pane" tabindex="-1">
          <Suspense>
            <Switch fallback={<Nothing />}>
              <Match when={route().page === "settings"}>
                <Settings />
              </Match>
              <Match when={route().page === "operator"}>
                <Operator />
              </Match>
              <Match when={openId()} keyed>
                {(id) => (
                  <Show
                    when={open()}
                    fallback={
                      <Show when={app.listed}>
                        <Unknown />
                      </Show>
                    }
                  >
                    <Conversation id={id} />
                  </Show>
                )}
              </Match>
            </Switch>
          </Suspense>
        </div>
      </main>
    </div>
  );
}

/** One that was just made or joined is a moment away. */
const UNKNOWN_AFTER_MS = 1_500;

function Unknown() {
  const [sure, setSure] = createSignal(false);
  const timer = setTimeout(() => setSure(true), UNKNOWN_AFTER_MS);
  onCleanup(() => clearTimeout(timer));
  return (
    <Show when={sure()}>
      <div class="nothing">
        <p>{t().conversation.unknown}</p>
        <a class="button" href="#/">
          {t().common.back}
        </a>
      </div>
    </Show>
  );
}

function Nothing() {
  return (
    <div class="nothing">
      <Logo />
      <p class="nothing-title">{t().conversation.pick}</p>
      <p class="hint">{t().conversation.pickHint}</p>
      <p class="hint nothing-lock">
        <Icon name="lock" /> {t().conversation.encrypted}
      </p>
    </div>
  );
}
