/**
 * Keeps the files of exactly one build, so that the client opens without a network and never mixes files of two builds. A new build
 * waits, in its own cache, until the page asks it to take over; then all tabs reload.
 */

interface WorkerEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}

interface FetchEvent extends WorkerEvent {
  request: Request;
  respondWith(answer: Promise<Response>): void;
}

interface WorkerScope extends EventTarget {
  registration: { scope: string };
  clients: {
    claim(): Promise<void>;
    matchAll(options: { type: "window" }): Promise<{ url: string; focus(): Promise<unknown>; postMessage(m: unknown): void }[]>;
    openWindow(url: string): Promise<unknown>;
  };
  skipWaiting(): Promise<void>;
}

const worker = self as unknown as WorkerScope;

// The build puts these in.
const VERSION = "__SOTTO_VERSION__";
const FILES = "__SOTTO_FILES__" as unknown as string[];

const PREFIX = "sotto-shell-";
const CACHE = PREFIX + VERSION;
const address = (file: string): string => new URL(file, worker.registration.scope).href;

worker.addEventListener("install", (event) => {
  (event as WorkerEvent).waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(FILES.map((file) => new Request(address(file), { cache: "reload" })))),
  );
});

worker.addEventListener("activate", (event) => {
  (event as WorkerEvent).waitUntil(
    (async () => {
      for (const name of await caches.keys())
        if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
      await worker.clients.claim();
    })(),
  );
});

worker.addEventListener("message", (event) => {
  if ((event as MessageEvent).data === "take over") void worker.skipWaiting();
});

worker.addEventListener("fetch", (event) => {
  const { request, respondWith } = {
    request: (event as FetchEvent).request,
    respondWith: (answer: Promise<Response>) => (event as FetchEvent).respondWith(answer),
  };
  if (request.method !== "GET") return;
  const url = new URL(request.url);
  url.search = "";
  url.hash = "";
  const home = worker.registration.scope;
  const wanted = request.mode === "navigate" && url.href === home ? address("index.html") : url.href;
  if (!wanted.startsWith(home) || !FILES.includes(decodeURI(wanted.slice(home.length)))) return;
  respondWith(
    caches
      .open(CACHE)
      .then((cache) => cache.match(wanted))
      .then((kept) => kept ?? fetch(request)),
  );
});

worker.addEventListener("notificationclick", (event) => {
  const { notification } = event as unknown as { notification: { close(): void; data?: { hash?: string } } };
  notification.close();
  const hash = notification.data?.hash ?? "#/";
  (event as WorkerEvent).waitUntil(
    (async () => {
      const [tab] = await worker.clients.matchAll({ type: "window" });
      if (!tab) return worker.clients.openWindow(address(hash));
      tab.postMessage({ go: hash });
      return tab.focus();
    })(),
  );
});
