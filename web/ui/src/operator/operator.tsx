/** The operator's page: live figures, accounts, invites and rooms. What people say is not here: the relay cannot read it. */
import { createSignal, For, Match, Show, Switch } from "solid-js";
import { t } from "../i18n/index.ts";
import { app } from "../state/app.ts";
import { Page } from "../ui/page.tsx";
import { rove } from "../ui/roving.ts";
import { Accounts } from "./accounts.tsx";
import { Invites, Rooms } from "./invites.tsx";
import { Overview } from "./overview.tsx";

const TABS = ["overview", "accounts", "invites", "rooms"] as const;
type Tab = (typeof TABS)[number];

export default function Operator() {
  const [tab, setTab] = createSignal<Tab>("overview");
  return (
    <Page title={t().operator.title}>
      <Show
        when={app.state?.role === "operator"}
        fallback={
          <div class="nothing">
            <p>{t().operator.notOperator}</p>
          </div>
        }
      >
        <div class="page-body wide">
          <div class="tabs" role="tablist" aria-label={t().operator.title} onKeyDown={(event) => rove(event, "[role=tab]", true)}>
            <For each={TABS}>
              {(one) => (
                <button
                  type="button"
                  role="tab"
                  id={`operator-${one}`}
                  aria-controls="operator-panel"
                  aria-selected={tab() === one}
                  tabindex={tab() === one ? 0 : -1}
                  onClick={() => setTab(one)}
                  onFocus={() => setTab(one)}
                >
                  {t().operator[one]}
                </button>
              )}
            </For>
          </div>
          <div role="tabpanel" id="operator-panel" aria-labelledby={`operator-${tab()}`}>
            <Switch>
              <Match when={tab() === "overview"}>
                <Overview />
              </Match>
              <Match when={tab() === "accounts"}>
                <Accounts />
              </Match>
              <Match when={tab() === "invites"}>
                <Invites />
              </Match>
              <Match when={tab() === "rooms"}>
                <Rooms />
              </Match>
            </Switch>
          </div>
        </div>
      </Show>
    </Page>
  );
}
