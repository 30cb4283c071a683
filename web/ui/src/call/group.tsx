/** Everything about calls of groups that is not there from the start. */
import "../styles/call.css";
import "../styles/group-call.css";

export { Bar } from "./group-bar.tsx";
export { join, Panel } from "./group-panel.tsx";
