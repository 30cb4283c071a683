/** What a tab and its worker for files say to each other. */

import type { Failure, Id } from "../engine/api.ts";

/** Where a file goes: to a place on the disk that the person chose, or into memory. */
export type Target = FileSystemFileHandle | "memory";

/** What went wrong with a file. Beside the relay's own codes there are those of `failures` in `words.ts`. */
export interface FileFailure extends Failure {
  /** With `file_too_large` and `file_quota`: bytes that there is room for. */
  room?: number;
}

export type Stage = "checking" | "moving";

/** What a file turned out to be, by its first bytes. */
export interface Got {
  kind: string;
  /** Of a picture that may be shown. */
  picture?: string;
  /** Where it went into memory. */
  blob?: Blob;
}

export type ToWorker =
  | { type: "start"; relay: string }
  /** What was asked for by `access`. */
  | { type: "access"; access: string }
  | { type: "no_access"; failure: Failure }
  | { type: "send"; id: number; conversation: Id; file: File }
  | { type: "get"; id: number; conversation: Id; about: string; bytes: number; target: Target }
  | { type: "pause" | "resume" | "cancel" | "again"; id: number }
  /** The network is back. */
  | { type: "hurry" };

export type FromWorker =
  | { type: "access" }
  | { type: "step"; id: number; stage: Stage; done: number }
  /** It waits for the relay, or goes on. */
  | { type: "waiting"; id: number; on: boolean }
  | { type: "uploaded"; id: number; about: string }
  | { type: "got"; id: number; got: Got }
  | { type: "failed"; id: number; failure: FileFailure };
