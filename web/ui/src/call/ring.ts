/** What is heard and seen while it rings: two soft notes, and a notification where nobody looks. */
import type { Id } from "../engine/api.ts";
import { visible } from "../state/notify.ts";
import { prefs } from "../state/prefs.ts";
import { go, to } from "../state/route.ts";

const RING_EVERY_MS = 2_400;
const CALL_EVERY_MS = 4_000;
const TAG = "call";

/** Rings until it is stopped. `away`: it rings at the other one's, which is a quieter and slower sound. */
export function ring(away: boolean): () => void {
  let context: AudioContext | undefined;
  const sound = (): void => {
    try {
      context ??= new AudioContext();
      void context.resume().catch(() => undefined);
      const notes = away ? [440] : [660, 880];
      notes.forEach((frequency, place) => note(context as AudioContext, frequency, place * 0.22, away ? 0.05 : 0.16));
    } catch {
      // A browser without sound shows the call all the same.
    }
  };
  sound();
  const timer = setInterval(sound, away ? CALL_EVERY_MS : RING_EVERY_MS);
  return () => {
    clearInterval(timer);
    void context?.close().catch(() => undefined);
  };
}

function note(context: AudioContext, frequency: number, after: number, loud: number): void {
  const start = context.currentTime + after;
  const gain = context.createGain();
  gain.gain.setValueAtTime(0, start);
  gain.gain.linearRampToValueAtTime(loud, start + 0.03);
  gain.gain.exponentialRampToValueAtTime(0.001, start + 0.7);
  const tone = context.createOscillator();
  tone.frequency.value = frequency;
  tone.connect(gain).connect(context.destination);
  tone.start(start);
  tone.stop(start + 0.75);
}

/** Says so outside of the page, if nobody looks at it; takes it back when it is stopped. */
export function announce(conversation: Id, who: string, what: string): () => void {
  if (visible() || !prefs.notify || !("Notification" in window) || Notification.permission !== "granted")
    return () => undefined;
  const hash = to.conversation(conversation);
  const title = prefs.preview ? who : "Sotto";
  const options: NotificationOptions = {
    body: what,
    tag: TAG,
    icon: "./icon-192.png",
    requireInteraction: true,
    data: { hash },
  };
  let taken = false;
  let close = (): void => undefined;
  const show = async (): Promise<void> => {
    const registration = await navigator.serviceWorker?.getRegistration?.();
    if (taken) return;
    if (registration?.active) {
      await registration.showNotification(title, options);
      const back = async (): Promise<void> => {
        for (const one of await registration.getNotifications({ tag: TAG })) one.close();
      };
      close = () => void back();
    } else {
      const notification = new Notification(title, options);
      notification.onclick = () => {
        window.focus();
        go(hash);
      };
      close = () => notification.close();
    }
    if (taken) close();
  };
  void show().catch(() => undefined);
  return () => {
    taken = true;
    close();
  };
}
