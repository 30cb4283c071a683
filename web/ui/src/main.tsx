/** Starts the interface: draws at once, then meets the engine. */
import { render } from "solid-js/web";
import { connect } from "./engine/client.ts";
import { App, setStartFailure } from "./app.tsx";
import { speak } from "./i18n/index.ts";
import { start } from "./state/app.ts";
import "./state/install.ts";
import { watchUpdates } from "./state/update.ts";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/welcome.css";
import "./styles/main.css";
import "./styles/chat.css";
import "./styles/panels.css";

const root = document.getElementById("app");
void speak()
  .catch(() => undefined)
  .then(() => root && render(() => <App />, root));

watchUpdates();
connect()
  .then(start)
  .catch((error: unknown) => setStartFailure(() => error));
