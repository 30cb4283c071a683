// A socket of a daemon that remembers what it was told.

import WebSocket from "ws";

/** A socket, all that it was told, and a way to wait for what fits. Ends the program if it fails while somebody waits. */
export function open(url) {
  const socket = new WebSocket(url);
  const told = [];
  let waiting = [];
  socket.on("message", (data) => {
    told.push(JSON.parse(data));
    waiting = waiting.filter((look) => !look());
  });
  for (const end of ["error", "close"]) {
    socket.on(end, (why) => {
      if (waiting.length === 0) return;
      console.error(`${end} ${why} while waiting; told ${JSON.stringify(told.slice(-5)).slice(0, 400)}`);
      process.exit(1);
    });
  }
  const next = (fits) =>
    new Promise((resolve) => {
      const look = () => {
        const found = told.find(fits);
        if (found) resolve(found);
        return Boolean(found);
      };
      if (!look()) waiting.push(look);
    });
  return { socket, told, next, say: (object) => socket.send(JSON.stringify(object)) };
}
