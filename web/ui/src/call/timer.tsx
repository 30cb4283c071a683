/** How long a call goes on. */
import { createSignal, onCleanup } from "solid-js";

export function Timer(props: { since: number }) {
  const [now, setNow] = createSignal(Date.now());
  const tick = setInterval(() => setNow(Date.now()), 500);
  onCleanup(() => clearInterval(tick));
  const time = (): string => {
    const seconds = Math.max(0, Math.floor((now() - props.since) / 1000));
    const two = (value: number): string => String(value).padStart(2, "0");
    const minutes = Math.floor(seconds / 60);
    return minutes < 60 ? `${minutes}:${two(seconds % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
  };
  return (
    <span class="call-time" role="timer">
      {time()}
    </span>
  );
}
