// What every bot needs of `sotto daemon`: it connects, comes back after an interruption, reads what it missed
// meanwhile, and answers each message once. docs/daemon.md describes what is said on the wire.

import WebSocket from "ws";

// Every answer of a bot begins with this, and nothing that begins with it is answered: two bots that meet fall silent.
const MARK = "\u{1F916} ";

// Answers in one conversation within a minute: the end of a loop with a bot that does not know the mark.
const ANSWERS_A_MINUTE = 20;

const PAUSE_MS = { least: 500, most: 30_000 };

/**
 * Runs a bot for ever. `answer(message, daemon)` gives the text to answer with, or nothing.
 * In a direct conversation each message is answered, elsewhere only those that name the bot as @username.
 */
export function run(answer, url = process.env.SOTTO_DAEMON) {
  if (!url) {
    console.error("set SOTTO_DAEMON to the WebSocket address that `sotto daemon` prints: ws://127.0.0.1:8643/ws?token=...");
    process.exit(2);
  }
  const daemon = new Daemon(url);
  const cursors = new Map(); // how far each conversation was read
  const kinds = new Map(); // direct, group or room
  const work = new Map(); // one answer after the other in each conversation
  const recent = new Map(); // when we answered last
  let username = "";
  let first = true;
  let pause = PAUSE_MS.least;

  const isForUs = (message) =>
    kinds.get(message.conversation) === "direct" || message.content.includes(`@${username}`);

  const mayAnswer = (conversation) => {
    const now = Date.now();
    const times = (recent.get(conversation) ?? []).filter((time) => now - time < 60_000);
    recent.set(conversation, times);
    if (times.length >= ANSWERS_A_MINUTE) return false;
    times.push(now);
    return true;
  };

  const take = (message) => {
    const { conversation, sequence } = message;
    if (message.own || sequence <= (cursors.get(conversation) ?? 0)) return;
    cursors.set(conversation, sequence);
    if (message.type !== "message" || message.content.startsWith(MARK) || !isForUs(message)) return;
    if (!mayAnswer(conversation)) return console.error(`too many answers in ${conversation}: silent for a while`);
    const before = work.get(conversation) ?? Promise.resolve();
    const next = before.then(async () => {
      const text = await answer(message, daemon);
      if (text) await daemon.post(`/conversations/${conversation}/messages`, { content: MARK + text });
    });
    work.set(conversation, next.catch((error) => console.error(`not answered: ${error.message}`)));
  };

  // What came while we were away, or faster than we read.
  const catchUp = async (conversation, head) => {
    while ((cursors.get(conversation) ?? 0) < head) {
      const after = cursors.get(conversation) ?? 0;
      const page = await daemon.get(`/conversations/${conversation}/messages?after=${after}&limit=100`);
      page.messages.forEach(take);
      // Entries of the log that are nobody's lines, or our own, move the cursor too.
      cursors.set(conversation, page.after ?? head);
    }
  };

  const hear = async (event) => {
    switch (event.type) {
      case "ready":
        username = event.username;
        pause = PAUSE_MS.least;
        for (const { conversation, kind, cursor } of event.conversations) {
          kinds.set(conversation, kind);
          // The first time we begin with what comes from now on.
          if (first) cursors.set(conversation, cursor);
          else await catchUp(conversation, cursor);
        }
        first = false;
        return console.log(`ready as ${username}`);
      case "conversation":
        return kinds.set(event.conversation, event.kind);
      case "behind":
        for (const { conversation, head } of event.conversations) await catchUp(conversation, head);
        return;
      case "message":
      case "notice":
        return take(event);
      case "alarm":
      case "error":
        return console.error(`${event.code}: ${event.text ?? event.error}`);
    }
  };

  const connect = () => {
    const socket = new WebSocket(url);
    let heard = Promise.resolve(); // events in their order
    socket.on("message", (data) => {
      heard = heard.then(() => hear(JSON.parse(data))).catch((error) => {
        console.error(error.message);
        socket.terminate(); // begin again from the cursors
      });
    });
    socket.on("error", (error) => console.error(`the daemon: ${error.message}`));
    socket.on("close", () => {
      setTimeout(connect, pause);
      pause = Math.min(pause * 2, PAUSE_MS.most);
    });
  };
  connect();
}

/** The daemon's HTTP side. */
class Daemon {
  constructor(url) {
    const { host, searchParams } = new URL(url);
    this.base = `http://${host}`;
    this.headers = { authorization: `Bearer ${searchParams.get("token")}`, "content-type": "application/json" };
  }

  get(path) {
    return this.call(path, { method: "GET" });
  }

  post(path, body) {
    return this.call(path, { method: "POST", body: JSON.stringify(body) });
  }

  async call(path, request) {
    const response = await fetch(this.base + path, { ...request, headers: this.headers });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.detail ?? `the daemon answered ${response.status}`);
    return answer;
  }
}

/** A text as a bot reads it: without the mark. */
export const plain = (text) => (text.startsWith(MARK) ? text.slice(MARK.length) : text);
