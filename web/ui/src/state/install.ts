/** Installing the page as an app, where the browser offers it. */
import { createSignal } from "solid-js";

interface InstallPrompt extends Event {
  prompt(): Promise<unknown>;
}

const [offer, setOffer] = createSignal<InstallPrompt>();

addEventListener("beforeinstallprompt", (event) => {
  // Kept for the button in the settings instead of the browser's own moment.
  event.preventDefault();
  setOffer(event as InstallPrompt);
});
addEventListener("appinstalled", () => {
  setOffer(undefined);
  keepForGood();
});

/** Asks the browser not to throw away what is kept here when room is short. Some ask the person, so it is asked once there is something. */
export function keepForGood(): void {
  void navigator.storage?.persist?.().catch(() => undefined);
}

export function canInstall(): boolean {
  return offer() !== undefined;
}

export async function install(): Promise<void> {
  await offer()?.prompt();
  setOffer(undefined);
}
