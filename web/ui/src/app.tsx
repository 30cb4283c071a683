/** The whole interface: which screen, and what lies over each. */
import { createEffect, createSignal, lazy, Match, onMount, Show, Suspense, Switch } from "solid-js";
import { speak, t } from "./i18n/index.ts";
import { app } from "./state/app.ts";
import { watchMessages } from "./state/notify.ts";
import { applyPrefs } from "./state/prefs.ts";
import { CallHost, watchCalls } from "./call/open.ts";
import { Banners } from "./main/banners.tsx";
import { Main } from "./main/main.tsx";
import { explain } from "./ui/failure.tsx";
import { Logo } from "./ui/icon.tsx";
import { goOn } from "./files/open.ts";
import { EmojiHost } from "./emoji/open.ts";
import { MenuHost } from "./ui/menu.tsx";
import { Overlay } from "./ui/overlay.tsx";
import { atTheDoor, newWords } from "./welcome/flow.ts";

const Welcome = lazy(() => import("./welcome/welcome.tsx"));
const NewWords = lazy(() => import("./welcome/words.tsx"));

const [startFailure, setStartFailure] = createSignal<unknown>();
export { setStartFailure };

export function App() {
  onMount(() => {
    applyPrefs();
    watchMessages();
    watchCalls();
    // The tab beside may be the one that was closed.
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && app.listed && void goOn());
  });
  createEffect(() => void speak().catch(() => undefined));
  createEffect(() => {
    if (app.state?.phase === "empty") document.title = "Sotto";
    if (app.listed) void goOn();
  });
  return (
    <>
      <Suspense fallback={<Splash />}>
        <Switch fallback={<Splash />}>
          <Match when={startFailure()}>
            <main class="splash">
              <Logo />
              <h1>{t().status.startFailed}</h1>
              <p role="alert">{explain(startFailure())}</p>
              <button type="button" class="button" onClick={() => location.reload()}>
                {t().status.reload}
              </button>
            </main>
          </Match>
          <Match when={newWords()}>{(words) => <NewWords words={words()} />}</Match>
          <Match when={app.state?.phase === "empty" || atTheDoor()}>
            <Banners />
            <Welcome />
          </Match>
          <Match when={app.state?.phase === "here"}>
            <Main />
          </Match>
        </Switch>
      </Suspense>
      <CallHost />
      <MenuHost />
      <EmojiHost />
      <Overlay />
    </>
  );
}

function Splash() {
  const [slow, setSlow] = createSignal(false);
  onMount(() => setTimeout(() => setSlow(true), 400));
  return (
    <main class="splash" aria-busy="true">
      <Show when={slow()} fallback={<h1 class="visually-hidden">Sotto</h1>}>
        <Logo />
        <h1>Sotto</h1>
        <p>{t().common.loading}</p>
      </Show>
    </main>
  );
}
