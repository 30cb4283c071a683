/** Moments and spans of time, in the person's language. */
import { now } from "../state/app.ts";
import { locale, t } from "./index.ts";

const formats = new Map<string, Intl.DateTimeFormat>();

function format(key: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const tag = locale();
  const name = `${tag} ${key}`;
  let made = formats.get(name);
  if (!made) formats.set(name, (made = new Intl.DateTimeFormat(tag, options)));
  return made;
}

/** Times come from others: what is no date at all shows as nothing. */
const sane = (ms: number): boolean => Number.isFinite(ms) && Math.abs(ms) < 8.64e15;

/** Minutes whose words are kept: what is scrolled through in a moment lies together. */
const KEPT_MAX = 1_000;

/** The words for each minute are made once: those who talk do it within the same minutes, and every line shows two of them. */
function byMinute(key: string, options: Intl.DateTimeFormatOptions): (ms: number) => string {
  const kept = new Map<string, string>();
  return (ms) => {
    if (!sane(ms)) return "";
    const name = `${locale()} ${Math.floor(ms / 60_000)}`;
    let words = kept.get(name);
    if (words === undefined) {
      words = format(key, options).format(ms);
      if (kept.size >= KEPT_MAX) kept.clear();
      kept.set(name, words);
    }
    return words;
  };
}

export const clock = byMinute("clock", { hour: "2-digit", minute: "2-digit" });

/** A number that is the same within a day, by this browser's time zone. */
export function dayOf(ms: number): number {
  const date = new Date(sane(ms) ? ms : 0);
  return date.getFullYear() * 512 + date.getMonth() * 32 + date.getDate();
}

const DAY_MS = 86_400_000;

/** The heading over a day's messages. */
export function day(ms: number): string {
  if (!sane(ms)) return "";
  if (dayOf(ms) === dayOf(now())) return t().conversation.today;
  if (dayOf(ms) === dayOf(now() - DAY_MS)) return t().conversation.yesterday;
  const sameYear = new Date(ms).getFullYear() === new Date(now()).getFullYear();
  return sameYear
    ? format("day", { weekday: "long", day: "numeric", month: "long" }).format(ms)
    : format("dayYear", { day: "numeric", month: "long", year: "numeric" }).format(ms);
}

/** For lists: the time today, the weekday this week, else the date. */
export function brief(ms: number): string {
  if (!sane(ms) || ms <= 0) return "";
  if (dayOf(ms) === dayOf(now())) return clock(ms);
  if (now() - ms < 6 * DAY_MS) return format("weekday", { weekday: "short" }).format(ms);
  return format("date", { day: "numeric", month: "short", ...(now() - ms > 300 * DAY_MS && { year: "2-digit" }) }).format(ms);
}

export const full = byMinute("full", { dateStyle: "medium", timeStyle: "short" });

/** A time that the relay wrote as text. */
export function fullOf(text: string): string {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? text : full(ms);
}

/** A length of time, in its largest unit and the next one where that matters. */
export function span(seconds: number): string {
  const words = t().time;
  const units: [number, (count: number) => string][] = [
    [604_800, words.weeks],
    [86_400, words.days],
    [3_600, words.hours],
    [60, words.minutes],
    [1, words.seconds],
  ];
  const left = Math.max(0, Math.round(seconds));
  for (const [at, [size, name]] of units.entries()) {
    const count = Math.floor(left / size);
    if (count === 0) continue;
    const next = units[at + 1];
    const rest = next ? Math.floor((left - count * size) / next[0]) : 0;
    return next && rest > 0 ? words.and(name(count), next[1](rest)) : name(count);
  }
  return words.seconds(0);
}

export function bytes(count: number): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;
  let at = 0;
  let value = count;
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000;
    at += 1;
  }
  return new Intl.NumberFormat(locale(), {
    style: "unit",
    unit: units[at] ?? "byte",
    maximumFractionDigits: value < 10 && at > 0 ? 1 : 0,
  }).format(value);
}

export function count(value: number): string {
  return new Intl.NumberFormat(locale()).format(value);
}
