/**
 * What the interface and the engine say to each other.
 *
 * The engine is `node/core` compiled to WebAssembly: it alone knows protocol, keys and storage. The interface asks it with
 * `call` and hears from it through `EngineEvent`. Messages, conversations and statuses are the objects that `sotto --json`
 * and the daemon print (docs/cli.md, docs/daemon.md), with a few fields more for drawing.
 *
 * Ids are lower-case hex. Times are milliseconds since 1970 by the relay's clock. A sequence is a place in a
 * conversation's log.
 */

export type Id = string;

/** How this installation stands. */
export interface State {
  /** `empty`: nobody has signed in here. `here`: there is an account; `status` says how its connection stands. */
  phase: "empty" | "here";
  account?: Id;
  username?: string;
  email?: string;
  device?: Id;
  /** `user` or `operator`, as the relay said last. */
  role?: string;
  status: Status;
  /** Where keys and history are kept. `memory`: nowhere, as in a private window; closing the last tab loses them. */
  storage: "kept" | "memory";
  /** Others are not told that this account is here. */
  invisible: boolean;
  /** The relay's clock minus ours. */
  clock_offset_ms: number;
}

export interface Status {
  status:
    | "offline"
    | "connecting"
    | "unreachable"
    | "ready"
    | "synchronised"
    | "signed_out"
    | "refused"
    | "ended";
  /** What there is to say about it, for people. */
  text?: string;
  /** What carries the connection. */
  carrier?: "webtransport" | "websocket";
}

export type Kind = "direct" | "group" | "room";
export type Role = "member" | "moderator" | "owner";
export type HistoryPolicy = "none" | "since-joining" | "all";

export interface Member {
  account: Id;
  username: string;
  role: Role | null;
  devices: Id[];
  verified: boolean;
}

export interface Conversation {
  type: "conversation";
  conversation: Id;
  kind: Kind;
  title: string;
  name: string;
  history: HistoryPolicy;
  standing: "joining" | "member" | "leaving" | "gone";
  suite: string | null;
  epoch: number | null;
  cursor: number;
  unread: number;
  queued: number;
  /** How many members. */
  members: number;
  /** Texts from now on disappear after so many seconds. */
  timer: number | null;
  /** Sequences of what is pinned, the newest pin first. */
  pins: number[];
  people: Member[];
  last: Message | null;
  draft: string;
  /** Accounts that are here now, by the relay's word; at most 100 are named. */
  present: Id[];
  present_count: number | null;
  typing: Id[];
}

/** A piece of a text that is shown in one way. Everything in `text` is harmless to show as text. */
export interface Span {
  text: string;
  bold?: true;
  italic?: true;
  strike?: true;
  code?: true;
  code_block?: true;
  quote?: true;
  /** `http://` or `https://` only. */
  link?: string;
}

/** A file, whose bytes are kept at the relay, sealed. */
export interface FileAbout {
  /** Safe to show on one line and to write in a folder. */
  name: string;
  bytes: number;
  /** What the sender's program took it for by its content: said, not proved. */
  media_type: string;
  /** What the relay knows it by; 64 hex digits. */
  root: string;
}

/** A small picture that goes with a file: a JPEG in hex, and the edges of the whole one. */
export interface SmallPicture {
  width: number;
  height: number;
  jpeg: string;
}

export interface Message {
  type: "message";
  conversation: Id;
  sequence: number;
  time_ms: number;
  sent_at_ms: number;
  account: Id;
  username: string;
  device: Id;
  own: boolean;
  origin: "message" | "archive" | "resent" | "own" | "imported";
  kind:
    | "text"
    | "named"
    | "added"
    | "removed"
    | "rejoined"
    | "left"
    | "missing"
    | "deleted"
    | "timer"
    | "call"
    | "unknown";
  /** With `text`: as it was typed (for editing; never to be shown), and in pieces for showing. */
  text?: string;
  spans?: Span[];
  /** With `text`, of a file: its first span is the file's, and the text and the other spans are its caption's. */
  file?: FileAbout;
  /** Of a file with a small picture (`preview` has it): the edges of the whole one, as the sender says. */
  preview?: { width: number; height: number } | null;
  /** With `named`. */
  name?: string;
  /** With `added`, `removed`, `rejoined`, `left`. */
  accounts?: Id[];
  /** With `missing`. */
  reason?: string;
  /** With `deleted`. */
  by?: Id;
  /** With `timer` (null: texts stay) and `call` (how long they talked). */
  seconds?: number | null;
  /** With `call`; who called is the author. */
  outcome?: "answered" | "missed" | "declined" | "busy" | "failed" | "unknown";
  video?: boolean;
  reply: { sequence: number; account: Id | null; username: string; excerpt: string } | null;
  edited_at_ms: number | null;
  reactions: { emoji: string; accounts: Id[] }[];
  pinned: boolean;
  mentions: Id[];
  expires_at_ms: number | null;
  read_by: Id[];
  delivered_to: Id[];
}

/** What one of the two in a call sends. */
export interface MediaState {
  muted: boolean;
  camera: boolean;
  held: boolean;
  screen: boolean;
}

/** A call, told anew with every change. */
export interface Call {
  type: "call";
  call: Id;
  conversation: Id;
  /** The other one. */
  account: Id;
  outgoing: boolean;
  video: boolean;
  state: "calling" | "ringing" | "incoming" | "connecting" | "connected" | "reconnecting" | "ended";
  /** With `ended`. */
  reason:
    | "ended"
    | "hung_up"
    | "unanswered"
    | "declined"
    | "busy"
    | "answered_elsewhere"
    | "declined_elsewhere"
    | "failed"
    | "lost"
    | "tampered"
    | "removed"
    | null;
  /** Since when they talk, by this device's clock. */
  since_ms: number | null;
  theirs: MediaState;
  /** The relay altered messages about this call; they were refused. */
  altered: boolean;
  /** Both called at once: the own call that this one goes on for. */
  replaces: Id | null;
}

/** A device that is in a call of a group. */
export interface GroupPerson extends MediaState {
  account: Id;
  device: Id;
  /** This device. */
  own: boolean;
  /** Of the connection to it; null where there is none. */
  link: "connecting" | "connected" | "reconnecting" | null;
  /** Somebody stands between: the connection was cut. */
  tampered: boolean;
}

/** A call of a group, told anew with every change. */
export interface GroupCall {
  type: "group_call";
  call: Id;
  conversation: Id;
  /** Who began it. */
  account: Id;
  video: boolean;
  /** `going_on`: without this device, which may join. */
  state: "ringing" | "going_on" | "joined" | "ended";
  /** Why this device is not in it any more, or why nobody is. */
  reason: "left" | "over" | "full" | "removed" | "lost" | null;
  /** Since when it goes on, by this device's clock. */
  since_ms: number;
  altered: boolean;
  /** Two began at once: the own call that this one goes on for. */
  replaces: Id | null;
  people: GroupPerson[];
}

/** What the media of a group's call are sealed with, at joining and with each epoch; see `call/sframe.ts`. */
export interface GroupKey {
  type: "group_call_key";
  call: Id;
  epoch: number;
  /** 16 bytes. */
  base_key: string;
  context: number;
  /** This device's leaf in the tree of the conversation. */
  mine: number;
  senders: { device: Id; index: number }[];
}

/** A way to a device, as `RTCIceCandidate` has it. */
export interface Way {
  line: string;
  mid: string | null;
  section: number | null;
}

/** What the tab that runs the media of a call is to do; see `Negotiation` in `node/core/src/calls`. */
export type Negotiate = { type: "call_negotiate"; call: Id } & Step;

/** The same for the connection to one device in a call of a group. */
export type GroupNegotiate = { type: "group_call_negotiate"; call: Id; device: Id } & Step;

/** One step of negotiating a connection. */
export type Step = { round: number } & ({ what: "offer"; given: null } | Given);

type Given = { what: "take_offer" | "take_answer"; given: string } | { what: "take_candidates"; given: Way[] };

/** Somebody asks for a file that a page holds, so that it may offer a link; see `node/core/src/peers`. */
export interface LinkAsked {
  type: "link_asked";
  ask: Id;
  conversation: Id;
  root: string;
  device: Id;
  /** It may go by way of what the relay lends. */
  routed: boolean;
}

/** What the page that makes a link is to do. `ask` names the question of this browser that it came of; null where it gives. */
export type LinkNegotiate = { type: "link_negotiate"; link: Id; ask: Id | null; account: Id; round: number } & Given;

/** A text that waits for the relay. */
export interface Queued {
  number: number;
  since_ms: number;
  text: string | null;
}

export interface Hit {
  conversation: Id;
  sequence: number;
  message: Message;
  /** For `search`'s `before`: opaque. */
  place: string;
}

export interface Contact {
  account: Id;
  username: string;
  verified: boolean;
  identity_key: string | null;
  /** 60 digits. */
  safety_number: string | null;
  /** What a QR code of this contact shows. */
  qr_text: string | null;
}

export interface Device {
  device: Id;
  name: string;
  created_at: string;
  /** This browser. */
  own: boolean;
}

export interface Session {
  id: Id;
  created_at: string;
  last_used_at: string;
  device: string | null;
  agent: string;
  current: boolean;
}

export interface Invite {
  code: string;
  /** `sotto://...` for nodes. */
  link: string;
  /** `https://relay/#/i/CODE` for browsers. */
  web: string;
}

export interface About {
  version: string;
  registration: "open" | "invite" | "closed";
}

type None = Record<string, never>;

/** Every call: what it takes, what it gives. It may fail with a {@link Failure}. */
export interface Calls {
  state: [None, State];
  /** Asks the relay; needs no account. */
  about: [None, About];

  register: [{ username: string; email: string; password: string; invite?: string }, { words: string[] }];
  /** Fails with `needs_recovery` when the account has other devices: `recover` then. */
  sign_in: [{ name: string; password: string }, None];
  recover: [{ name: string; password: string; words: string }, None];
  /** Ends the session at the relay and wipes everything here. */
  sign_out: [None, None];
  recovery_words: [None, { words: string[] }];

  conversations: [None, Conversation[]];
  conversation: [{ conversation: Id }, Conversation | null];
  /** Local lines before a place (none: the newest), in the order of the log. */
  history: [{ conversation: Id; before?: number; limit: number }, Message[]];
  /** The same after a place. */
  history_after: [{ conversation: Id; after: number; limit: number }, Message[]];
  /** One line; null when it is gone. */
  line: [{ conversation: Id; sequence: number }, Message | null];
  pins: [{ conversation: Id }, Message[]];
  /** Reads the archive towards the past. `next`: where to go on from; null at the start of what may be read. */
  fetch_history: [{ conversation: Id; before?: number; limit: number }, { added: number; next: number | null }];
  outbox: [{ conversation: Id }, Queued[]];
  search: [{ words: string; conversation?: Id; before?: string; limit: number }, { hits: Hit[]; complete: boolean }];

  /** Done when the text is safe in this browser's outbox; a `message` event follows when the relay has it. */
  send: [{ conversation: Id; text: string; reply_to?: number }, None];
  /** Says that a file is there, once the relay has all of it. `file` is what the worker for files gave, for nobody else to read. */
  send_file: [{ conversation: Id; file: string; caption: string; reply_to?: number; preview?: SmallPicture }, None];
  /** The small picture of a file, as its sender made it; null where there is none. */
  preview: [{ conversation: Id; sequence: number }, { jpeg: string | null }];
  /** What opens a file, for that worker; null where there is none. */
  file: [{ conversation: Id; sequence: number }, { file: string | null }];
  /** A token for the relay's HTTP API, for that worker. */
  access: [None, { access: string }];
  edit: [{ conversation: Id; target: number; text: string }, None];
  delete: [{ conversation: Id; target: number }, None];
  react: [{ conversation: Id; target: number; emoji: string; on: boolean }, None];
  pin: [{ conversation: Id; target: number; on: boolean }, None];
  set_timer: [{ conversation: Id; seconds: number | null }, None];
  mark_read: [{ conversation: Id; upto: number }, None];
  typing: [{ conversation: Id }, None];
  keep_draft: [{ conversation: Id; text: string }, None];

  /** How the call stands that this browser is in, or that rings here. */
  call: [None, Call | null];
  call_start: [{ conversation: Id; video: boolean }, { call: Id }];
  call_answer: [{ call: Id; video: boolean }, None];
  call_decline: [{ call: Id }, None];
  call_hang_up: [{ call: Id }, None];
  call_description: [{ call: Id; round: number; sdp: string }, None];
  call_candidates: [{ call: Id; round: number; list: Way[] }, None];
  /** How the media do. `fingerprint`, with `connected`: of the certificate at the other end, as the transport has it. */
  call_media: [{ call: Id; media: "connected" | "alive" | "disconnected" | "failed"; fingerprint?: string }, None];
  call_state: [{ call: Id } & MediaState, None];

  /** Calls of groups that are known to go on. */
  group_calls: [None, GroupCall[]];
  /** Begins one, or joins the one that goes on there. */
  group_call_join: [{ conversation: Id; video: boolean }, { call: Id }];
  group_call_leave: [{ call: Id }, None];
  group_call_decline: [{ call: Id }, None];
  group_call_state: [{ call: Id } & MediaState, None];
  group_call_description: [{ call: Id; device: Id; round: number; sdp: string }, None];
  group_call_candidates: [{ call: Id; device: Id; round: number; list: Way[] }, None];
  group_call_media: [{ call: Id; device: Id; media: "connected" | "disconnected" | "failed"; fingerprint?: string }, None];
  /** Every few seconds: the tab is still there. */
  group_call_alive: [{ call: Id }, None];

  /** This browser makes direct links, or does not. Said again after each connection to the relay. */
  links: [{ on: boolean }, None];
  link_holds: [{ conversation: Id; root: string }, None];
  link_want: [{ ask: Id; conversation: Id; root: string }, None];
  link_route: [{ ask: Id }, None];
  link_end_want: [{ ask: Id }, None];
  link_offer: [{ link: Id; ask: Id; conversation: Id; root: string; device: Id; routed: boolean; round: number; sdp: string }, None];
  link_answer: [{ link: Id; round: number; sdp: string }, None];
  link_candidates: [{ link: Id; round: number; list: Way[] }, None];
  /** `again`: the device may be asked again. */
  link_close: [{ link: Id; again: boolean }, None];

  open_direct: [{ username: string }, { conversation: Id }];
  create: [
    { name: string; room: boolean; listed_name?: string; history: HistoryPolicy; members: string[] },
    { conversation: Id },
  ];
  rooms: [None, { conversation: Id; name: string; members: number }[]];
  join: [{ conversation: Id }, { conversation: Id }];
  join_listed: [{ name: string }, { conversation: Id }];
  leave: [{ conversation: Id }, None];
  rename: [{ conversation: Id; name: string }, None];
  add_members: [{ conversation: Id; usernames: string[] }, { added: Id[]; without_device: Id[] }];
  remove_member: [{ conversation: Id; account: Id }, None];
  set_role: [{ conversation: Id; account: Id; role: Role }, None];
  invite: [{ conversation?: Id; uses?: number; expires_in?: number }, Invite];
  /** Uses an invite of this relay: its code, or a whole link. */
  redeem: [{ code: string }, { conversation: Id | null }];

  contact: [{ account: Id }, Contact | null];
  verify: [{ account: Id; identity_key: string }, None];
  set_invisible: [{ on: boolean }, None];
  devices: [None, Device[]];
  /** Out of every conversation, and off the list of the account. */
  remove_device: [{ device: Id }, None];
  sessions: [None, Session[]];
  end_session: [{ id: Id }, None];
  stats: [None, { failures: Record<string, number>; repairs: Record<string, number> }];
  /** Draws a QR code: rows of modules, true is dark. */
  qr: [{ text: string }, boolean[][]];
  /** The HTTP API of the relay under the person's token, for the operator's page. `path` follows `/api/v1`. */
  http: [{ method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"; path: string; body?: unknown }, unknown];
}

export type Method = keyof Calls;
export type Args<M extends Method> = Calls[M][0];
export type Result<M extends Method> = Calls[M][1];

/** What a call fails with. `code` is stable: those of docs/cli.md, and the relay's (`invalid_credentials`, ...). */
export interface Failure {
  code: string;
  /** One sentence for people, in English. */
  text: string;
  /** Come back after so many milliseconds. */
  retry_after_ms?: number;
}

export type EngineEvent =
  | { type: "state"; state: State }
  | Message
  /** A line that was shown already is another one now, or gone: ask for `line`. */
  | { type: "changed"; conversation: Id; sequence: number }
  /** Older or repaired lines were added: draw the conversation again. */
  | { type: "history_added"; conversation: Id; lines: number }
  /** New, or something about it changed (also unread, draft, presence, typing, last line). */
  | Conversation
  | Call
  | Negotiate
  | GroupCall
  | GroupNegotiate
  | GroupKey
  | LinkAsked
  | LinkNegotiate
  | { type: "outbox"; conversation: Id }
  | { type: "not_added"; conversation: Id; accounts: Id[] }
  | { type: "admitted"; conversation: Id }
  /** Loud: another identity key than before. */
  | { type: "identity_changed"; account: Id; username: string; was_verified: boolean }
  /** Loud: the relay shows different logs to different members, took entries back, or gave keys that do not verify. */
  | { type: "log_tampered"; conversation: Id; text: string }
  | { type: "undecryptable"; conversation: Id; sequence: number; reason: string }
  | { type: "repaired"; conversation: Id; by: string }
  /**
   * The local store failed: nothing of the last input happened. `full`: the browser gives no more room. `gone`: it threw away
   * what was kept; the page goes on until it is closed.
   */
  | { type: "store_failed"; text: string; full: boolean; gone?: true };

/** How the interface reaches the engine, whichever tab it runs in. */
export interface Engine {
  call<M extends Method>(method: M, args: Args<M>): Promise<Result<M>>;
  on(listener: (event: EngineEvent) => void): () => void;
}
