/**
 * What tabs say to each other about the one engine.
 *
 * Every tab starts a worker. The workers ask for one lock; who has it runs the engine, the others wait for it. When a tab is
 * closed, its worker and with it the lock are gone, and the next worker goes on from what is stored. Tabs speak with whoever
 * has the lock over one channel, and repeat what was not answered when a new one says that it is here; requests carry ids,
 * so that nothing is carried out twice.
 */

import type { EngineEvent, Failure, Method } from "./api";

/** The lock and the channel, by the relay's address: a page may be opened for several relays. */
export const nameOf = (relay: URL) => `sotto ${relay.href}`;

export type FromTab = {
  to: "engine";
  /** Drawn by the tab; 32 hex digits. */
  id: string;
  method: Method;
  args: unknown;
};

export type FromEngine =
  /** An engine is here (again): repeat what was not answered. */
  | { to: "tabs"; type: "here" }
  | { to: "tabs"; type: "event"; event: EngineEvent }
  | { to: "tabs"; type: "answer"; id: string; result: unknown }
  | { to: "tabs"; type: "failed"; id: string; failure: Failure }
  /** No engine can be here, and why. */
  | { to: "tabs"; type: "broken"; text: string };

export type Said = FromTab | FromEngine;

/** What a worker tells its own tab: the engine broke and is of no more use. */
export type FromWorker = { type: "crashed"; text: string };

/** What a tab tells its own worker. */
export type ToWorker = { type: "start"; relay: string; deviceName: string } | { type: "hurry" };
