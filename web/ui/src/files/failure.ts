/** What went wrong with a file, in the person's language, with what to do next. */
import { explain } from "../ui/failure.tsx";
import type { FileFailure } from "./messages.ts";
import { words } from "./words.ts";

export function explainFile(failure: FileFailure): string {
  const known = (words().failures as Record<string, ((room: number | undefined) => string) | undefined>)[failure.code];
  return known ? known(failure.room) : explain(failure);
}
