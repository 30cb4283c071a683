/** What a tab and its worker for files say to each other. */

import type { Failure, Id, SmallPicture } from "../engine/api.ts";

/**
 * Where a file goes: to a place on the disk that the person chose, or into memory; or to a place that is chosen when all of it is here, because
 * the page was closed meanwhile.
 */
export type Target = FileSystemFileHandle | "memory" | "later";

/** What is kept of a file on its way, so that it goes on after the page was closed; see `shelf.ts`. */
export interface Note {
  what: "send" | "save";
  conversation: Id;
  name: string;
  bytes: number;
  /** When it began. */
  at: number;
  /** Of what comes in. */
  sequence?: number;
  /** Of what goes out. */
  kind?: string;
  caption?: string;
  replyTo?: number;
}

/** A file that was on its way when its page was closed. */
export interface Left {
  shelf: Id;
  note: Note;
  paused: boolean;
  /** A file that goes out is here as a copy, or nobody has it but the person. */
  copied: boolean;
  /** What goes out with its message. */
  preview?: SmallPicture;
}

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

/** Who gave some of a file: a member's browser over a link, or the relay. */
export interface Origin {
  account: Id | null;
  bytes: number;
  /** By way of what the relay lends: it has the file no more. */
  routed?: boolean;
}

export type ToWorker =
  | { type: "start"; relay: string }
  /** What was asked for by `access`. */
  | { type: "access"; access: string }
  | { type: "no_access"; failure: Failure }
  /** What to keep of a file; `left`: it was begun before the page was closed. */
  | { type: "note"; id: number; shelf: Id; note: Note; left: boolean }
  /** What goes out with the message of a file, to be kept with it. */
  | { type: "preview"; id: number; preview: SmallPicture }
  /** What was under way when a page was closed? */
  | { type: "look" }
  /** Without a file, from the copy. */
  | { type: "send"; id: number; conversation: Id; file: File | undefined }
  /** `seeks`: members who are there may have it. */
  | { type: "get"; id: number; conversation: Id; about: string; bytes: number; target: Target; seeks: boolean }
  /** Where a file goes of which all is here. */
  | { type: "place"; id: number; target: FileSystemFileHandle }
  | { type: "pause" | "resume" | "cancel" | "again"; id: number }
  /** A link is on its way for a download; one stands; one is gone. */
  | { type: "link_coming"; id: number }
  | { type: "link_up"; id: number; link: Id; account: Id; routed: boolean }
  | { type: "link_down"; link: Id }
  /** A message of who gives; a question of who takes. */
  | { type: "came"; link: Id; bytes: ArrayBuffer }
  | { type: "asked"; link: Id; conversation: Id; bytes: ArrayBuffer }
  /** The network is back. */
  | { type: "hurry" };

export type FromWorker =
  | { type: "access" }
  | { type: "step"; id: number; stage: Stage; done: number }
  /** It waits for the relay, or goes on. */
  | { type: "waiting"; id: number; on: boolean }
  | { type: "left"; left: Left[] }
  /** Closing the page would not end it, or would; all of it is here, and has no place yet. */
  | { type: "kept"; id: number; on: boolean }
  | { type: "ready"; id: number }
  /** Another tab goes on with it. */
  | { type: "elsewhere"; id: number }
  | { type: "uploaded"; id: number; about: string; root: string }
  | { type: "got"; id: number; got: Got }
  /** From whom it came so far, and who sent what is not the file's. */
  | { type: "origins"; id: number; origins: Origin[]; dropped: Id[] }
  /** A file is here that others may have; one is wanted from others; by way of what the relay lends, too; not any more. */
  | { type: "held"; conversation: Id; root: string }
  | { type: "seek"; id: number; conversation: Id; root: string }
  | { type: "route"; id: number }
  | { type: "found"; id: number }
  /** Messages for a link, one behind the other, each but the last as long as one may be; a link is of no more use. */
  | { type: "say"; link: Id; bytes: ArrayBuffer }
  | { type: "drop"; link: Id; again: boolean }
  | { type: "failed"; id: number; failure: FileFailure };
