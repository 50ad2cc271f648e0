// What is changed of one playlist, until it is saved. It is kept on this tablet: neither another screen, a session, a reload nor
// a lost line lose it, and neither does a number that is not right yet.
import { changes, rebased, same, withMusic, type Entry, type PhaseEdit, type PlaylistFile, type Problem } from "./edit";
import type { Fault } from "../api.gen";
import { refusal } from "../said";
import { t } from "../texts.svelte";

/** Typed is what was typed into fields, by phase (was) and field, where it is no number that the field takes. */
type Typed = Record<string, string>;
interface Kept { file: PlaylistFile; phases: PhaseEdit[]; text: string; asText: boolean; typed?: Typed }

/** limits are the least and most of each number: minutes, dB, minutes. */
export const limits = { length: [0.02, 1440], level: [-40, 12], fade: [0.02, 1440] } as const;
export type Field = keyof typeof limits;

const place = (id: string) => `draft ${id}`;
const copy = (phases: PhaseEdit[]) => phases.map((p) => ({ ...p, music: p.music ?? [] }));

function kept(id: string): Kept | null {
  try {
    return JSON.parse(localStorage.getItem(place(id)) ?? "null") as Kept | null;
  } catch {
    return null;
  }
}

/** waits says whether there are unsaved changes of a playlist. */
export const waits = (id: string) => localStorage.getItem(place(id)) !== null;

const drafts = new Map<string, Draft>();

/** draftOf is the draft of a playlist: the same one as long as the page lives. */
export function draftOf(id: string): Draft {
  const d = drafts.get(id) ?? new Draft(id);
  drafts.set(id, d);
  return d;
}

export class Draft {
  file = $state.raw<PlaylistFile | null>(null);
  phases = $state.raw<PhaseEdit[]>([]);
  text = $state("");
  asText = $state(false);
  typed = $state.raw<Typed>({});
  problems = $state.raw<Problem[]>([]);
  says = $state("");
  /** found is false where the playlist is not a file. */
  found = $state(true);
  /** theirs is the file as it was changed elsewhere while there were changes here. */
  theirs = $state.raw<PlaylistFile | null>(null);
  /** dropped is what was discarded and can be had back. */
  dropped = $state.raw<Kept | null>(null);
  saving = $state(false);
  mistyped = $derived(Object.keys(this.typed).length > 0);
  dirty = $derived(this.file !== null && (this.asText ? this.text !== this.file.text : this.mistyped || !same(this.file.phases, this.phases)));

  readonly path: string;

  constructor(readonly id: string) {
    this.path = `/api/v1/playlists/${encodeURIComponent(id)}`;
  }

  async ask(method: string, at: string, body?: object): Promise<{ ok: boolean; status: number; body: unknown } | null> {
    try {
      const r = await fetch(this.path + at, { method, cache: "no-store", ...(body ? { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } } : {}) });
      return { ok: r.ok, status: r.status, body: await r.json() };
    } catch {
      this.says = t("edit.noAnswer");
      return null;
    }
  }

  private refused(body: unknown): void {
    this.says = refusal(body);
  }

  /** load reads the file, and takes up the changes that were kept. */
  private async load(): Promise<void> {
    const r = await this.ask("GET", "/file");
    if (!r) return;
    this.says = "";
    this.found = r.ok;
    if (!r.ok) {
      if (r.status !== 409) this.refused(r.body);
      return;
    }
    const file = r.body as PlaylistFile;
    const was = kept(this.id);
    this.take(file);
    if (!was) return;
    this.put(was);
    if (!this.dirty) this.take(file);
    else if (was.file.revision !== file.revision) this.theirs = file;
    else this.says = t("edit.stillHere");
  }

  /** refresh reads the file, again where it was read: more is known of its music, or somebody else has changed it. */
  async refresh(): Promise<void> {
    if (this.saving) return;
    if (!this.file) return this.found ? this.load() : undefined;
    const before = this.file;
    let file: PlaylistFile;
    try {
      const r = await fetch(this.path + "/file", { cache: "no-store" });
      if (!r.ok) return;
      file = (await r.json()) as PlaylistFile;
    } catch {
      return; // asked again when it is another
    }
    if (this.file !== before || this.saving) return;
    if (file.revision !== before.revision) {
      if (this.dirty) [this.theirs, this.says] = [file, ""];
      else this.take(file, this.asText);
      return;
    }
    const dirty = this.dirty;
    this.file = file;
    if (!dirty) this.problems = file.problems;
    this.phases = this.phases.map((p) => {
      const now = file.phases.find((f) => f.was === p.was);
      return { ...p, music: (p.music ?? []).map((e) => (e.was === undefined ? e : (now?.music?.[e.was] ?? e))) };
    });
  }

  private take(file: PlaylistFile, asText = false): void {
    this.file = file;
    this.phases = copy(file.phases);
    this.text = file.text;
    this.problems = file.problems;
    this.theirs = null;
    this.typed = {};
    this.asText = asText || file.phases.length === 0;
  }

  private put(k: Kept): void {
    [this.file, this.phases, this.text, this.asText, this.typed] = [k.file, k.phases, k.text, k.asText, k.typed ?? {}];
  }

  private now(): Kept {
    return { file: this.file!, phases: this.phases, text: this.text, asText: this.asText, typed: this.typed };
  }

  /** keep writes the changes down on this tablet. */
  keep(): void {
    if (!this.file) return;
    const dirty = this.dirty, what = JSON.stringify(this.now());
    try {
      if (dirty) localStorage.setItem(place(this.id), what);
      else localStorage.removeItem(place(this.id));
    } catch {
      // the tablet keeps nothing: the changes last as long as the page
    }
  }

  set(k: number, change: Partial<PhaseEdit>): void {
    this.says = "";
    this.dropped = null;
    this.phases = this.phases.map((p, i) => (i === k ? { ...p, ...change } : p));
  }

  /** type takes what was typed into a field, with a comma or a point; what is no number for it waits as it is. */
  type(k: number, field: Field, text: string): void {
    const n = text.trim() === "" ? NaN : Number(text.trim().replace(",", ".").replace("−", "-"));
    const [least, most] = limits[field];
    const at = `${this.phases[k]!.was} ${field}`;
    const { [at]: _, ...others } = this.typed;
    if (!(n >= least && n <= most)) {
      this.typed = { ...others, [at]: text };
      this.says = this.asks() ?? "";
      return;
    }
    this.typed = others;
    const ms = Math.round(n * 60) * 1000;
    this.set(k, field === "level" ? { level_db: n } : field === "length" ? { length_ms: ms } : { fade_ms: ms });
    this.says = this.asks() ?? "";
  }

  /** asks is what a field that was not typed right needs. */
  private asks(): string | undefined {
    const [at] = Object.keys(this.typed);
    const [was, field] = (at ?? "").split(" ") as [string, Field];
    const [least, most] = limits[field] ?? [];
    return at && t("edit.number", { phase: this.phases.find((p) => p.was === Number(was))?.name ?? "", field: t(`edit.${field}`), least: least!, most: most! });
  }

  /** use adds music to a phase, or puts it in the place of all that it has. */
  use(k: number, more: Entry[], instead: boolean): void {
    this.set(k, { music: withMusic(this.phases[k]!.music ?? [], more, instead) });
  }

  discard(): void {
    if (!this.file) return;
    this.dropped = this.now();
    this.take(this.theirs ?? this.file, this.asText);
    this.says = t("edit.discarded");
  }

  undiscard(): void {
    const k = this.dropped;
    if (!k || !this.file) return;
    const now = this.file;
    this.put(k);
    if (now.revision !== k.file.revision) this.theirs = now;
    this.dropped = null;
    this.says = "";
  }

  /** mine puts the changes on the file as it is now. */
  mine(): void {
    const now = this.theirs;
    if (!now || !this.file) return;
    if (!this.asText && now.phases.length === 0) return; // nothing to put them on
    this.theirs = null;
    this.problems = now.problems;
    if (this.asText) {
      this.file = now;
      this.says = t("edit.onTop");
      return;
    }
    const { phases, lost } = rebased(this.file.phases, this.phases, now.phases);
    [this.file, this.phases, this.text] = [now, phases, now.text];
    this.says = lost.length ? t("edit.lost", { names: lost.join(", ") }) : t("edit.onTop");
  }

  async make(): Promise<string> {
    const r = await this.ask("POST", "/file");
    if (!r?.ok) {
      if (r) this.refused(r.body);
      return "";
    }
    await this.load(); // a folder's file has the folder's ID
    return (r.body as { id: string }).id;
  }

  async save(): Promise<void> {
    if (!this.asText && this.mistyped) this.says = this.asks()!;
    else if (this.file) await this.write(this.asText ? { text: this.text } : { phases: changes(this.file.phases, this.phases) }, t("edit.saved"), this.asText);
  }

  /** restore makes an earlier version the file. What it replaces is the latest version then. */
  async restore(number: number): Promise<boolean> {
    return this.write({ restore: number }, t("versions.restored"));
  }

  private async write(what: object, says: string, asText = false): Promise<boolean> {
    this.says = "";
    this.dropped = null;
    this.saving = true;
    const sent = this.now();
    const r = await this.ask("PUT", "/file", { revision: this.file!.revision, ...what });
    this.saving = false;
    const now = this.now();
    if (!r) return false;
    const body = r.body as Partial<Fault & PlaylistFile>;
    if (r.ok) {
      const file = r.body as PlaylistFile;
      this.take(file, asText);
      this.says = says;
      // What was changed while it was being saved is not saved yet.
      if (now.text !== sent.text) this.text = now.text;
      if (now.phases !== sent.phases) this.phases = rebased(sent.phases, now.phases, file.phases).phases;
      this.typed = now.typed ?? {};
      this.keep();
    } else if (body.problems) {
      this.problems = body.problems;
      this.says = t("edit.notSaved");
    } else if (body.field === "revision") {
      await this.refresh();
      if (!this.theirs) this.refused(body);
    } else this.refused(body);
    return r.ok;
  }
}
