// Answers through any endpoint that speaks OpenAI's chat completions: a model on this machine, or a service.
// What people write to this bot goes to that endpoint: choose one that may read it.
//
//   SOTTO_DAEMON='ws://127.0.0.1:8643/ws?token=...' \
//   OPENAI_BASE_URL=http://127.0.0.1:11434/v1 OPENAI_MODEL=llama3.2 OPENAI_API_KEY=... node openai.mjs

import { plain, run } from "./sotto.mjs";

const base = (process.env.OPENAI_BASE_URL ?? "https://api.openai.com/v1").replace(/\/+$/, "");
const model = process.env.OPENAI_MODEL;
const key = process.env.OPENAI_API_KEY;
const system = process.env.SYSTEM_PROMPT ?? "You are a helpful member of a private chat. Answer briefly.";

const LINES = 20; // of the conversation, for the model
const PATIENCE_MS = 120_000;
const ANSWER_MAX = 16_000; // characters: well below what one message holds

if (!model) {
  console.error("set OPENAI_MODEL to a model that the endpoint has");
  process.exit(2);
}

run(async (message, daemon) => {
  const before = message.sequence + 1;
  const page = await daemon.get(`/conversations/${message.conversation}/messages?before=${before}&limit=${LINES}`);
  const lines = page.messages.filter((line) => line.type === "message");
  const messages = lines.map((line) =>
    line.own
      ? { role: "assistant", content: plain(line.content) }
      : { role: "user", content: `${line.username}: ${line.content}` },
  );
  const response = await fetch(`${base}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key && { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ model, messages: [{ role: "system", content: system }, ...messages] }),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (!response.ok) throw new Error(`the endpoint answered ${response.status}`);
  const answer = await response.json();
  return answer.choices?.[0]?.message?.content?.trim().slice(0, ANSWER_MAX);
});
