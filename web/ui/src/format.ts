// Times and levels as they are read. Seconds in, unless said otherwise.
import { words } from "./texts.svelte";

const two = (n: number) => String(n).padStart(2, "0");

/** clock is 0:04:09 */
export function clock(s: number): string {
  const t = Math.max(0, Math.floor(s));
  return `${Math.floor(t / 3600)}:${two(Math.floor(t / 60) % 60)}:${two(t % 60)}`;
}

/** hms is 4:09, or 1:04:09 from an hour on */
export function hms(s: number): string {
  const t = Math.max(0, Math.floor(s));
  return t >= 3600 ? clock(t) : `${Math.floor(t / 60)}:${two(t % 60)}`;
}

/** length is 40 min, 3 h, 2 h 20 min; under ten minutes also 1:30 min */
export function length(s: number): string {
  const t = Math.round(Math.max(0, s));
  if (t < 600 && t % 60) return `${hms(t)} min`;
  const m = Math.round(Math.max(0, s) / 60);
  if (m < 60) return `${m} min`;
  return m % 60 ? `${Math.floor(m / 60)} h ${m % 60} min` : `${m / 60} h`;
}

/** about is how long ago or until, where seconds would only disturb: 40 s, 12 min, 1 h 04 */
export function about(s: number): string {
  const t = Math.max(0, Math.floor(s));
  if (t < 60) return `${t} s`;
  if (t < 3600) return `${Math.floor(t / 60)} min`;
  return `${Math.floor(t / 3600)} h ${two(Math.floor(t / 60) % 60)}`;
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
