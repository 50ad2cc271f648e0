// The rooms of a clinic as its desk tells of them, and the order in which they are shown. All times in milliseconds on the desk's clock.

import type { Room } from "./api.gen";

export type Place = "need" | "session" | "free";

const jitter = 2000; // ms: by so much an end moves only because the message came sooner or later

/** runs says whether a session runs in the room, also where it is not reached: it goes on there until its end. */
export const runs = (r: Room, now: number): boolean => !!r.stage && (r.reached || !!r.held || (r.ends_ms ?? 0) > now);

const broken = (r: Room): boolean => r.reached && r.broken.length > 0;

/** urgency is 0 for what needs somebody first; rooms that need nobody come last. */
export function urgency(r: Room, now: number): number {
  if (broken(r)) return r.stage ? 0 : 2;
  if (!r.reached && r.heard) return runs(r, now) ? 1 : 3;
  return runs(r, now) ? 4 : r.heard ? 5 : 6;
}

export function place(r: Room, now: number): Place {
  const u = urgency(r, now);
  return u < 4 ? "need" : u === 4 ? "session" : "free";
}

/** byName compares names as people do: Room 2 before Room 10. */
export function byName(language: string): (a: Room, b: Room) => number {
  const c = new Intl.Collator(language, { numeric: true, sensitivity: "base" });
  return (a, b) => c.compare(a.name, b.name) || (a.id < b.id ? -1 : 1);
}

/** order compares what needs somebody, then what ends next; nobody knows the end of a session that is held. names is each room's place by its name. */
export function order(a: Room, b: Room, now: number, names: Map<string, number>): number {
  const u = urgency(a, now);
  return u - urgency(b, now) || (u === 4 ? end(a) - end(b) || 0 : 0) || names.get(a.id)! - names.get(b.id)!;
}

const end = (r: Room): number => (r.held ? Number.MAX_SAFE_INTEGER : (r.ends_ms ?? 0));

/** newer is the room as it is now; an end that moved by a trifle stays where it was, so that no two cards change places to and fro. */
export function newer(was: Room | undefined, is: Room): Room {
  const same = was?.stage && is.stage && Math.abs((was.ends_ms ?? 0) - (is.ends_ms ?? 0)) < jitter;
  return same ? { ...is, ends_ms: was.ends_ms } : is;
}

/** minutesLeft is rounded up: 1 in the last minute, 0 once the end is past. */
export const minutesLeft = (r: Room, now: number): number => Math.max(0, Math.ceil(((r.ends_ms ?? now) - now) / 60_000));

/** current is the revision of the playlists that were changed last; "": the rooms have none, or all the same. */
export function current(rooms: Iterable<Room>): string {
  let latest = -Infinity, revision = "";
  const all = new Set<string>();
  for (const { library: l } of rooms) {
    if (!l.revision) continue;
    all.add(l.revision);
    if ((l.changed_ms ?? 0) > latest) [latest, revision] = [l.changed_ms ?? 0, l.revision];
  }
  return all.size > 1 ? revision : "";
}

/** older says whether the room has other playlists than the current ones. */
export const older = (r: Room, now: string): boolean => !!now && !!r.library.revision && r.library.revision !== now;

/** found says whether a room is meant by what was typed: each word begins a word of its name or its house. */
export function found(r: Room, typed: string): boolean {
  const plain = (s: string) => s.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().split(/[\s/–-]+/);
  const words = plain(`${r.name} ${r.house ?? ""}`);
  return plain(typed).every((t) => words.some((w) => w.startsWith(t)));
}
