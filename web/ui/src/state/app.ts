/**
 * What the interface knows: a mirror of the engine, kept by its events. Components read the stores; whoever needs single events
 * (the open conversation, notifications) listens to `bus`.
 */
import { createMemo, createRoot, createSignal } from "solid-js";
import { createStore, produce, reconcile } from "solid-js/store";
import type {
  About,
  Args,
  Conversation,
  Engine,
  EngineEvent,
  Failure,
  Id,
  Message,
  Method,
  Result,
  State,
} from "../engine/api.ts";

export interface Alarm {
  key: string;
  event: Extract<EngineEvent, { type: "identity_changed" | "log_tampered" | "store_failed" }>;
}

interface App {
  state: State | null;
  about: About | null;
  conversations: Record<Id, Conversation>;
  /** The list of conversations has been read. */
  listed: boolean;
  alarms: Alarm[];
}

const [app, setApp] = createStore<App>({ state: null, about: null, conversations: {}, listed: false, alarms: [] });
export { app };

/** More at once would only hide the first. */
const ALARMS_MAX = 8;

let engine: Engine | undefined;
const listeners = new Set<(event: EngineEvent) => void>();

/** Single events, after the stores took them. */
export const bus = {
  on(listener: (event: EngineEvent) => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

/** Calls the engine. It fails with a {@link Failure}. */
export async function call<M extends Method>(method: M, ...args: Args<M> extends Record<string, never> ? [] : [Args<M>]): Promise<Result<M>> {
  if (!engine) throw { code: "internal", text: "the engine has not started" } satisfies Failure;
  return engine.call(method, (args[0] ?? {}) as Args<M>);
}

export function failureOf(error: unknown): Failure {
  if (typeof error === "object" && error !== null && "code" in error && typeof error.code === "string") {
    const { code, text, retry_after_ms } = error as Failure;
    return { code, text: text ?? "", ...(retry_after_ms != null && { retry_after_ms }) };
  }
  return { code: "internal", text: error instanceof Error ? error.message : String(error) };
}

/** Meets the engine and reads what there is. */
export async function start(connected: Engine): Promise<void> {
  engine = connected;
  engine.on(take);
  const state = await call("state");
  setApp("state", reconcile(state));
  void askAbout();
  if (state.phase === "here") await list();
}

/** What the relay says about itself; asked again when signing in needs it. */
export async function askAbout(): Promise<void> {
  try {
    setApp("about", await call("about"));
  } catch {
    // Out of reach: the first call that needs it says so.
  }
}

async function list(): Promise<void> {
  try {
    const all = await call("conversations");
    setApp("conversations", reconcile(Object.fromEntries(all.map((one) => [one.conversation, one]))));
  } finally {
    setApp("listed", true);
  }
}

function take(event: EngineEvent): void {
  switch (event.type) {
    case "state": {
      const before = app.state?.phase;
      const wasConnected = isConnected();
      setApp("state", reconcile(event.state));
      // Also when another tab's engine has taken over: its events began later than what is shown.
      if (event.state.phase === "here" && (before !== "here" || (!wasConnected && isConnected()))) void list();
      if (event.state.phase === "empty" && before === "here") {
        setApp("conversations", reconcile({}));
        setApp({ listed: false, alarms: [] });
      }
      break;
    }
    case "conversation":
      setApp("conversations", event.conversation, reconcile(event));
      break;
    case "admitted":
      void enter(event.conversation).catch(() => undefined);
      break;
    case "identity_changed":
      alarm(`identity:${event.account}`, event);
      break;
    case "log_tampered":
      alarm(`log:${event.conversation}`, event);
      break;
    case "store_failed":
      alarm("store", event);
      break;
    default:
      break;
  }
  for (const listener of listeners) listener(event);
}

function alarm(key: string, event: Alarm["event"]): void {
  setApp(
    "alarms",
    produce((alarms) => {
      const at = alarms.findIndex((one) => one.key === key);
      if (at >= 0) alarms.splice(at, 1);
      alarms.unshift({ key, event });
      alarms.length = Math.min(alarms.length, ALARMS_MAX);
    }),
  );
}

function isConnected(): boolean {
  return app.state?.status.status === "synchronised";
}

function whenConnected(): Promise<void> {
  if (isConnected()) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = bus.on(() => {
      if (!isConnected()) return;
      stop();
      resolve();
    });
  });
}

const entering = new Map<Id, Promise<unknown>>();

/** Goes into a conversation that one was admitted to, once. */
export function enter(id: Id): Promise<unknown> {
  const there = app.conversations[id];
  if (there && there.standing !== "gone") return Promise.resolve();
  let under = entering.get(id);
  if (!under) {
    under = whenConnected()
      .then(() => call("join", { conversation: id }))
      .finally(() => entering.delete(id));
    entering.set(id, under);
  }
  return under;
}

/** Reads the conversations with an account again, after something about it changed here. */
export async function refresh(account: Id): Promise<void> {
  for (const { conversation: id, people } of Object.values(app.conversations))
    if (people.some((person) => person.account === account)) await reread(id);
}

export async function reread(id: Id): Promise<void> {
  const fresh = await call("conversation", { conversation: id });
  if (fresh) setApp("conversations", id, reconcile(fresh));
}

export function dismissAlarm(key: string): void {
  setApp("alarms", (alarms) => alarms.filter((one) => one.key !== key));
}

export function conversation(id: Id | undefined): Conversation | undefined {
  return id === undefined ? undefined : app.conversations[id];
}

export function me(): Id | undefined {
  return app.state?.account;
}

/** Texts can be sent, whether now or later. */
export function isMember(one: Conversation | undefined): boolean {
  return one?.standing === "member";
}

/** The other one of a direct conversation. */
export function peer(one: Conversation): Conversation["people"][number] | undefined {
  return one.kind === "direct" ? (one.people.find((person) => person.account !== me()) ?? one.people[0]) : undefined;
}

/** A name that always shows something. */
export function titleOf(one: Conversation): string {
  return one.title || one.name || peer(one)?.username || one.conversation.slice(0, 8);
}

/** What an account is called, if anybody here has heard of it. */
export function nameOf(account: Id, within?: Conversation): string {
  if (account === me() && app.state?.username) return app.state.username;
  const find = (one: Conversation): string | undefined =>
    one.people.find((person) => person.account === account)?.username;
  const near = within && find(within);
  if (near) return near;
  for (const one of Object.values(app.conversations)) {
    const name = find(one);
    if (name) return name;
  }
  return account.slice(0, 8);
}

const derived = createRoot(() => {
  /** All conversations, what happened last first. */
  const sorted = createMemo(() =>
    Object.values(app.conversations)
      .map((one) => ({ id: one.conversation, time: one.last?.time_ms ?? 0, title: titleOf(one) }))
      .sort((a, b) => b.time - a.time || a.title.localeCompare(b.title))
      .map((one) => one.id),
  );
  const unread = createMemo(() =>
    Object.values(app.conversations).reduce((sum, one) => sum + Math.max(0, one.unread), 0),
  );
  return { sorted, unread };
});
export const sortedIds = derived.sorted;
export const unreadTotal = derived.unread;

const [now, setNow] = createSignal(Date.now());
setInterval(() => setNow(Date.now()), 15_000);

/** The relay's time, for what disappears; it moves every few seconds. */
export function relayNow(): number {
  return now() + (app.state?.clock_offset_ms ?? 0);
}

export { now };
export type { Conversation, Failure, Id, Message, State };
