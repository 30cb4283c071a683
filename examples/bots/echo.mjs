// Says back what it is told.
//
//   sotto daemon                          prints the address
//   npm ci && SOTTO_DAEMON='ws://127.0.0.1:8643/ws?token=...' node echo.mjs

import { run } from "./sotto.mjs";

run((message) => message.content);
