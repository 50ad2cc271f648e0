// The playlists that this tablet has started, the last one first.
import type { Playlist } from "./protocol";

const kept = 20;
const ids = (): string[] => {
  try {
    const had: unknown = JSON.parse(localStorage.getItem("recent") ?? "[]");
    return Array.isArray(had) ? had.filter((x) => typeof x === "string") : [];
  } catch {
    return [];
  }
};

/** used notes that a session was started with a playlist. */
export function used(id: string): void {
  localStorage.setItem("recent", JSON.stringify([id, ...ids().filter((x) => x !== id)].slice(0, kept)));
}

/** recent puts first what was used last: here, or else, as the room says, on another tablet. */
export function recent(list: Playlist[], last = ""): Playlist[] {
  const had = ids();
  if (!had.includes(last)) had.unshift(last);
  const place = (l: Playlist) => (had.indexOf(l.id) + had.length + 1) % (had.length + 1);
  return [...list].sort((a, b) => place(a) - place(b));
}
