// What goes over /ws and HTTP. Its types are made from openapi.yaml by npm run types. Times inside a session are milliseconds
// from its start.
import type { Args } from "./api.gen";

export type {
  Clip, Command, Fault, FromRoom, Lamp, Light, Mark, Music, Part, Phase, Playlist, Problem, Reminder, Remark, Role, Session, SessionRecord, Snapshot, Steer, Timer, ToRoom, Undo, Verb,
} from "./api.gen";
/** A sentence's code and arguments; durations are NAME_ms, dates NAME_date. */
export interface Said { code?: string; args?: Args }

/** uuid is a UUID v4. crypto.randomUUID is missing where the page came over http by a LAN name. */
export function uuid(): string {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6]! & 0x0f) | 0x40;
  b[8] = (b[8]! & 0x3f) | 0x80;
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
