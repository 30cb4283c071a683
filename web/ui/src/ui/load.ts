/** Something that is asked for once, and again when what it depends on changes. What is on the screen stays meanwhile. */
import { createEffect, createSignal, on, onCleanup, type Accessor } from "solid-js";

export interface Load<T> {
  value: Accessor<T | undefined>;
  error: Accessor<unknown>;
  loading: Accessor<boolean>;
  again: () => Promise<void>;
}

export function createLoad<T>(work: () => Promise<T>, depends: Accessor<unknown> = () => undefined): Load<T> {
  const [value, setValue] = createSignal<T>();
  const [error, setError] = createSignal<unknown>();
  const [loading, setLoading] = createSignal(true);
  let run = 0;
  async function again(): Promise<void> {
    const mine = (run += 1);
    setLoading(true);
    try {
      const got = await work();
      if (mine !== run) return;
      setValue(() => got);
      setError(undefined);
    } catch (failure) {
      if (mine === run) setError(failure);
    } finally {
      if (mine === run) setLoading(false);
    }
  }
  createEffect(on(depends, () => void again()));
  onCleanup(() => (run += 1));
  return { value, error, loading, again };
}
