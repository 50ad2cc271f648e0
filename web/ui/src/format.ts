// Times and levels as they are read. Seconds in, unless said otherwise.
import { t, words } from "./texts.svelte";

const two = (n: number) => String(n).padStart(2, "0");

/** clock is 0:04:09 */
export function clock(s: number): string {
  const n = Math.max(0, Math.floor(s));
  return `${Math.floor(n / 3600)}:${two(Math.floor(n / 60) % 60)}:${two(n % 60)}`;
}

/** hms is 4:09, or 1:04:09 from an hour on */
export function hms(s: number): string {
  const n = Math.max(0, Math.floor(s));
  return n >= 3600 ? clock(n) : `${Math.floor(n / 60)}:${two(n % 60)}`;
}

/** length is how long something is: 26 s, 1 min 30 s, 40 min, 3 h, 2 h 20 min; seconds only under ten minutes */
export function length(s: number): string {
  const n = Math.round(Math.max(0, s));
  if (n < 60) return `${n} s`;
  if (n < 600 && n % 60) return `${Math.floor(n / 60)} min ${two(n % 60)} s`;
  const m = Math.round(n / 60);
  return m < 60 ? `${m} min` : m % 60 ? `${Math.floor(m / 60)} h ${two(m % 60)} min` : `${m / 60} h`;
}

/** about is how long ago or until, where seconds would only disturb: 40 s, 12 min, 1 h 04 min */
export function about(s: number): string {
  const n = Math.max(0, Math.floor(s));
  return n < 60 ? `${n} s` : length(n - (n % 60));
}

/** wall is the time of day, 17:10, ahead of now (both in ms since 1970) */
export function wall(ms: number): string {
  const d = new Date(ms);
  return `${two(d.getHours())}:${two(d.getMinutes())}`;
}

/** signed is +5 or −2.5, with a true minus, and a comma where the language has one */
export function signed(n: number): string {
  const r = Math.round(n * 10) / 10;
  const number = new Intl.NumberFormat(words.language).format(Math.abs(r));
  return r < 0 ? `−${number}` : r > 0 ? `+${number}` : "0";
}

/** minutes is how much later (or earlier) the end is than planned, in whole minutes */
export function minutes(ms: number): number {
  return Math.round(ms / 60000) || 0;
}

/** volume is a level set by hand, in dB against the playlist's, in words */
export function volume(db: number): string {
  if (Math.abs(db) < 1.5) return t("volume.planned");
  if (db < 0) return t(db > -4.5 ? "volume.little" : db > -7.5 ? "volume.softer" : "volume.much");
  return t(db < 4.5 ? "volume.littleUp" : "volume.louder");
}

/** tally is what a session has: 14 marks, 2 notes */
export function tally(marks: number, notes: number): string {
  return [t("after.nMarks", { count: marks }), notes ? t("after.nNotes", { count: notes }) : ""].filter(Boolean).join(", ");
}

const midnight = (at: number) => new Date(at).setHours(0, 0, 0, 0);
const relative = () => new Intl.RelativeTimeFormat(words.language, { numeric: "auto" });

/** when is how long ago (below 0) or ahead something is, ms: 3 hours ago, yesterday, in 29 days; just is said of the last minute */
export function when(ms: number, just = "", now = Date.now()): string {
  const sign = ms <= 0 ? -1 : 1, n = Math.abs(ms), say = relative();
  if (sign < 0 && n < 60_000) return just;
  if (n < 3_600_000) return say.format(sign * Math.max(1, Math.floor(n / 60_000)), "minute");
  const days = Math.round((midnight(now + ms) - midnight(now)) / 86_400_000);
  return days ? say.format(days, "day") : say.format(sign * Math.floor(n / 3_600_000), "hour");
}

/** onDay is how far a day (2026-05-04) is from today: yesterday, in 3 days */
export function onDay(day: string, now = Date.now()): string {
  return relative().format(Math.round((new Date(`${day}T00:00`).getTime() - midnight(now)) / 86_400_000), "day");
}
