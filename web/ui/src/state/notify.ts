/** Tells about what arrives while nobody looks: the badge in the title and, where it is wanted, notifications. */
import { createEffect, createSignal } from "solid-js";
import type { Message } from "../engine/api.ts";
import { t } from "../i18n/index.ts";
import { plainText } from "../ui/spans.tsx";
import { app, bus, conversation, titleOf, unreadTotal } from "./app.ts";
import { prefer, prefs } from "./prefs.ts";
import { go, openId, to } from "./route.ts";

const [visible, setVisible] = createSignal(!document.hidden && document.hasFocus());
/** Somebody is looking at this tab. */
export { visible };

/** A text arrived while nobody looked: the sensible moment to ask about notifications. */
const [worthAsking, setWorthAsking] = createSignal(false);

export function shouldAsk(): boolean {
  return worthAsking() && !prefs.asked && "Notification" in window && Notification.permission === "default";
}

export async function allowNotifications(): Promise<boolean> {
  prefer({ asked: true });
  if (!("Notification" in window)) return false;
  const answer = await Notification.requestPermission();
  prefer({ notify: answer === "granted" });
  return answer === "granted";
}

/** Names are clamped by the engine; this is what a notification has room for. */
const BODY_MAX = 160;

export function watchMessages(): void {
  const look = (): void => {
    setVisible(!document.hidden && document.hasFocus());
  };
  for (const name of ["focus", "blur"]) addEventListener(name, look);
  document.addEventListener("visibilitychange", look);
  createEffect(() => {
    const count = unreadTotal();
    const base = "Sotto";
    document.title = app.state?.phase === "here" && count > 0 ? `(${count > 99 ? "99+" : count}) ${base}` : base;
    const badge = navigator as Navigator & { setAppBadge?(n: number): Promise<void>; clearAppBadge?(): Promise<void> };
    void (count > 0 ? badge.setAppBadge?.(count) : badge.clearAppBadge?.())?.catch(() => undefined);
  });
  bus.on((event) => {
    if (event.type === "message") heard(event);
  });
  if ("serviceWorker" in navigator)
    navigator.serviceWorker.addEventListener("message", (event: MessageEvent<{ go?: unknown }>) => {
      if (typeof event.data?.go === "string" && event.data.go.startsWith("#/")) go(event.data.go);
    });
}

function heard(message: Message): void {
  if (message.own || message.kind !== "text" || message.origin === "imported" || message.origin === "archive") return;
  if (visible() && openId() === message.conversation) return;
  setWorthAsking(true);
  if (visible() || !prefs.notify || !("Notification" in window) || Notification.permission !== "granted") return;
  void show(message).catch(() => undefined);
}

async function show(message: Message): Promise<void> {
  const where = conversation(message.conversation);
  const hash = to.conversation(message.conversation);
  const title = !prefs.preview
    ? "Sotto"
    : where && where.kind !== "direct"
      ? t().notify.inGroup(message.username, titleOf(where))
      : message.username;
  const options: NotificationOptions = {
    body: prefs.preview ? plainText(message.spans, BODY_MAX) : t().notify.hidden,
    tag: message.conversation,
    icon: "./icon-192.png",
    data: { hash },
  };
  const registration = await navigator.serviceWorker?.getRegistration?.();
  if (registration?.active) return registration.showNotification(title, options);
  const notification = new Notification(title, options);
  notification.onclick = () => {
    window.focus();
    go(hash);
    notification.close();
  };
}
