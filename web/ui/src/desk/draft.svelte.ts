// What is changed of one playlist, until it is saved. It is kept on this tablet: neither another page, a reload nor a lost
// line lose it.
import { changes, rebased, same, withMusic, type Entry, type PhaseEdit, type PlaylistFile, type Problem } from "./edit";
import { t } from "../texts.svelte";

interface Kept { file: PlaylistFile; phases: PhaseEdit[]; text: string; asText: boolean }

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

export class Draft {
  file = $state.raw<PlaylistFile | null>(null);
  phases = $state.raw<PhaseEdit[]>([]);
  text = $state("");
  asText = $state(false);
  problems = $state.raw<Problem[]>([]);
  says = $state("");
  /** found is false where the playlist is not a file. */
  found = $state(true);
  /** theirs is the file as it was changed elsewhere while there were changes here. */
  theirs = $state.raw<PlaylistFile | null>(null);
  /** dropped is what was discarded and can be had back. */
  dropped = $state.raw<Kept | null>(null);
  saving = $state(false);
  dirty = $derived(this.file !== null && (this.asText ? this.text !== this.file.text : !same(this.file.phases, this.phases)));

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
    this.says = (body as { reason?: string }).reason ?? "";
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
    this.asText = asText || file.phases.length === 0;
  }

  private put(k: Kept): void {
    [this.file, this.phases, this.text, this.asText] = [k.file, k.phases, k.text, k.asText];
  }

  private now(): Kept {
    return { file: this.file!, phases: this.phases, text: this.text, asText: this.asText };
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
    this.theirs = null;
    this.problems = now.problems;
    if (this.asText || now.phases.length === 0) {
      this.file = now;
      this.says = this.asText ? t("edit.onTop") : "";
      return;
    }
    const { phases, lost } = rebased(this.file.phases, this.phases, now.phases);
    [this.file, this.phases, this.text] = [now, phases, now.text];
    this.says = lost.length ? t("edit.lost", { names: lost.join(", ") }) : t("edit.onTop");
  }

  async make(): Promise<string> {
    const r = await this.ask("POST", "/file");
    if (r?.ok) return (r.body as { id: string }).id;
    if (r) this.refused(r.body);
    return "";
  }

  async save(): Promise<void> {
    if (this.file) await this.write(this.asText ? { text: this.text } : { phases: changes(this.file.phases, this.phases) }, t("edit.saved"));
  }

  /** restore makes an earlier version the file. What it replaces is the latest version then. */
  async restore(number: number): Promise<boolean> {
    return this.write({ restore: number }, t("versions.restored"));
  }

  private async write(what: object, says: string): Promise<boolean> {
    this.says = "";
    this.dropped = null;
    this.saving = true;
    const r = await this.ask("PUT", "/file", { revision: this.file!.revision, ...what });
    this.saving = false;
    if (!r) return false;
    const body = r.body as { field?: string; problems?: Problem[] };
    if (r.ok) {
      this.take(r.body as PlaylistFile, this.asText);
      this.says = says;
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
