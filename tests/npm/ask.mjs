// Sends a text to an account and waits for the answer that is expected; prints it as JSON.
// Arguments: the WebSocket address, the recipient, the text, the answer.

import WebSocket from "ws";

const [url, recipient, content, answer] = process.argv.slice(2);
const socket = new WebSocket(url);
socket.on("open", () => socket.send(JSON.stringify({ recipient, content })));
socket.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
socket.on("message", (data) => {
  const event = JSON.parse(data);
  if (event.type === "error") {
    console.error(data.toString());
    process.exit(1);
  }
  if (event.type === "message" && event.content === answer) {
    console.log(JSON.stringify(event));
    socket.close();
  }
});
