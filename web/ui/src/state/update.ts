/** New versions: the service worker keeps the files of one build together, and a new build waits until somebody reloads. */
import { createSignal } from "solid-js";
import { scriptUrl } from "../trusted.ts";

const [updateReady, setUpdateReady] = createSignal(false);
/** A file of this build is gone from the server, and no cache has it. */
const [outdated, setOutdated] = createSignal(false);
export { updateReady, outdated };

let registration: ServiceWorkerRegistration | undefined;

/** How often a page that stays open looks for a new version. */
const LOOK_EVERY_MS = 30 * 60_000;

export function watchUpdates(): void {
  addEventListener("vite:preloadError", (event) => {
    event.preventDefault();
    setOutdated(true);
  });
  if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return;
  const controlled = navigator.serviceWorker.controller !== null;
  let reloading = false;
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    // The first worker of a first visit takes over files that are its own.
    if (!controlled || reloading) return;
    reloading = true;
    location.reload();
  });
  navigator.serviceWorker
    .register(scriptUrl("./sw.js"), { scope: "./", updateViaCache: "none" })
    .then((made) => {
      registration = made;
      if (made.waiting && controlled) setUpdateReady(true);
      const follow = (): void => {
        const coming = made.installing;
        coming?.addEventListener("statechange", () => {
          if (coming.state === "installed" && navigator.serviceWorker.controller) setUpdateReady(true);
        });
      };
      // The browser looks for a newer one by itself when a page is opened, and may have found it by now.
      follow();
      made.addEventListener("updatefound", follow);
      setInterval(() => void made.update().catch(() => undefined), LOOK_EVERY_MS);
      document.addEventListener("visibilitychange", () => {
        if (!document.hidden) void made.update().catch(() => undefined);
      });
    })
    .catch(() => undefined);
}

/** Goes over to the new version, in every tab. */
export function update(): void {
  const waiting = registration?.waiting;
  if (waiting) waiting.postMessage("take over");
  else location.reload();
}
