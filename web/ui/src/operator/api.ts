/** The relay's calls for operators, and what they answer. */
import { call } from "../state/app.ts";

export interface Stats {
  accounts: number;
  devices: number;
  connections: number;
  conversations: number;
  messages: number;
  storage_bytes: number;
  disk_free_bytes: number | null;
  uptime_seconds: number;
  messages_per_second: number;
  version: string;
}

export interface Account {
  id: string;
  username: string;
  email: string;
  role: string;
  disabled: boolean;
  created_at: string;
  devices: number;
}

export interface OperatorInvite {
  /** Not the code, which is shown once. */
  id: string;
  created_at: string;
  expires_at: string;
  uses_left: number;
  conversation: string | null;
}

export interface Room {
  id: string;
  /** Of listed rooms only; other names are between the members. */
  name: string | null;
  members: number;
  messages: number;
}

interface Page {
  next?: string | null;
}

const PAGE = 50;

function query(values: Record<string, string | undefined>): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) if (value) search.set(key, value);
  return `?${search.toString()}`;
}

async function http<T>(method: "GET" | "POST" | "PATCH" | "DELETE", path: string, body?: unknown): Promise<T> {
  return (await call("http", { method, path: `/operator${path}`, ...(body !== undefined && { body }) })) as T;
}

export const operator = {
  stats: () => http<Stats>("GET", "/stats"),
  accounts: (find: string, cursor?: string | null) =>
    http<{ accounts: Account[] } & Page>(
      "GET",
      `/accounts${query({ q: find, cursor: cursor ?? undefined, limit: String(PAGE) })}`,
    ),
  change: (id: string, change: { role?: string; disabled?: boolean }) =>
    http<unknown>("PATCH", `/accounts/${encodeURIComponent(id)}`, change),
  invites: (cursor?: string | null) =>
    http<{ invites: OperatorInvite[] } & Page>(
      "GET",
      `/invites${query({ cursor: cursor ?? undefined })}`,
    ),
  invite: (uses: number, expires_in: number) => http<{ web: string }>("POST", "/invites", { uses, expires_in }),
  revoke: (id: string) => http<unknown>("DELETE", `/invites/${encodeURIComponent(id)}`),
  rooms: (cursor?: string | null) =>
    http<{ rooms: Room[] } & Page>("GET", `/rooms${query({ cursor: cursor ?? undefined })}`),
};
