// What goes over /ws, as room/command.go has it. Times inside a session are milliseconds from its start.

export type Verb =
  | "start" | "hold" | "release" | "next" | "extend" | "level" | "silence" | "resume" | "skip" | "mark" | "bring-back"
  | "soften" | "care" | "emergency" | "end" | "abort" | "undo" | "revise" | "scene" | "follow" | "test-lights" | "check-sound" | "audition" | "rehearse" | "note" | "timer" | "timer-stop";

export interface Command {
  id: string;
  do: Verb;
  playlist?: string;
  phase?: string;
  at_ms?: number;
  speed?: number;
  by?: string;
  db?: number;
  name?: string;
  in?: string;
  then?: "begin" | "note";
  second?: boolean;
  of?: string;
  scene?: string;
  role?: string;
  clip?: string;
  session?: string;
  text?: string;
}

export interface Phase {
  name: string;
  stage: string;
  start_ms: number;
  end_ms: number;
  held: boolean;
  waiting: string;
  scene: string;
  level_db?: number; // of its music, against the room's reference
  light?: number; // the brightest light of its scene, L*
}

export interface Clip { title: string; start_ms: number; end_ms: number; bed: boolean }
export interface Mark { id: string; name: string; at_ms: number; second?: boolean; unsaved?: boolean }
/** A sentence's code and arguments; durations are NAME_ms. */
export interface Said { code?: string; args?: Record<string, string | number> }
export interface Reminder { say: string; due_ms: number; marks: string[] | null }
export interface Timer { id: string; say: string; since_ms: number; due_ms: number; due: boolean; marks: string[] | null; own: boolean }
export interface Undo extends Said { id: string; do: Verb; says: string; until_ms: number }
export interface Music { clip: string; title: string; start_ms: number; end_ms: number; next: string }

export interface Session {
  id: string;
  playlist: string;
  name: string;
  state: "running" | "ending" | "ended";
  started_ms: number;
  elapsed_ms: number;
  ends_at_ms: number;
  planned_ms: number;
  phase: Phase;
  phases: Phase[];
  music: Music | null;
  timeline: Clip[];
  level_db: number;
  ceiling_db: number;
  silent: boolean;
  softened: boolean;
  emergency: boolean;
  care: boolean;
  returning: boolean;
  marks: Mark[];
  zero?: string;
  offer: string[];
  reminders: Reminder[];
  timers?: Timer[];
  undo: Undo[];
  revised: boolean;
  hold_ends_ms: number;
  release_ends_ms?: number;
}

export interface Light { level: number; kelvin?: number; color?: string }
export interface Lamp { name: string; state: string; answer?: string }
export interface Role { target: Light; actual: Light | null; state: string; says?: string; lamps?: Lamp[] | null; test?: string; testable?: boolean }
export interface Part { part: string; state: "working" | "degraded"; since_ms?: number; why?: string; do?: string }
export interface Problem extends Said { part: string; says: string; do: string }

export interface Snapshot {
  you?: { name: string; role: "therapist" | "observer" };
  boot: string;
  rev: number;
  now_ms: number;
  version: string;
  room: string;
  session: Session | null;
  checking?: boolean; // a sound check plays
  rehearsal?: { playlist: string; name: string; phase: string; at_ms: number; end_ms: number; speed: number };
  lights: Record<string, Role>;
  sound: { output: string; state: string; underruns: number; reopened: number; latency_ms: number };
  problems: Problem[];
  parts?: Part[];
  unsaved?: number; // commands that only the room's memory holds
  schedule?: { at: string; do: string; next: string; last?: string }[];
  marks: string[] | null;
  scenes: string[] | null;
}

export interface Playlist {
  id: string;
  name: string;
  about: string;
  length_ms: number;
  ready: boolean;
  phases: Phase[];
  errors: string[];
  warnings: string[];
  revision?: string;
  file?: string;
}

export interface SessionRecord {
  id: string;
  name: string;
  state: string;
  length_ms: number;
  ending: string;
  ending_code?: string;
  erased_in_ms?: number;
  zero?: string; // the mark that times are told from
  notes?: { of?: string; text: string }[];
  session?: Session;
  events?: { seq: number; at_ms: number; kind: string; data?: Record<string, unknown> }[];
}

/** uuid is a UUID v4. crypto.randomUUID is missing where the page came over http by a LAN name. */
export function uuid(): string {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6]! & 0x0f) | 0x40;
  b[8] = (b[8]! & 0x3f) | 0x80;
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
