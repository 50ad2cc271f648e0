import { steady, untilEdge } from "./clock";
import { kept } from "./kept";
import { Link, type Refusal } from "./link";
import { uuid, type Command, type Playlist, type Session, type Snapshot } from "./protocol";
import { refusal, said } from "./said";
import { t } from "./texts.svelte";
import { within } from "./within";

/** What became of a tap on the control that is called by the key. */
export interface Result { id: string; what: string; state: "sending" | "slow" | "done" | "notSent" | "noAnswer" | "refused" }

export interface Trouble { says: string; do: string }

const slowAfter = 1000;
const noAnswerAfter = 3000;
const doneFor = 1500;
const troubleFor = 20_000;

/** Room is the room as this tablet knows it. */
class Room {
  snap = $state.raw<Snapshot | null>(null);
  live = $state(false);
  /** lost is true once the line has been good and is not. */
  lost = $state(false);
  /** now is the session's time, or the room's where none runs, in whole seconds, as it is shown. */
  now = $state(0);
  /** ago is for how many seconds the room has not been heard. */
  ago = $state(0);
  /** wall is the time of day at now, ms. */
  wall = $state(Date.now());
  rtt = $state<number | null>(null);
  results = $state.raw<Record<string, Result>>({});
  /** trouble is the last tap that did not do what it should. */
  trouble = $state.raw<Trouble | null>(null);
  /** says is spoken, not seen. */
  says = $state("");
  alarm = $state("");
  playlists = $state.raw<Playlist[] | null>(null);
  /** left is the session that was ended and whose summary has been left. */
  left = $state(kept("left") ?? "");

  session = $derived<Session | null>(this.snap?.session ?? null);
  /** out is true where this tablet does not belong to the room, or no longer. */
  out = $state(false);
  /** steers is false for who may only watch. */
  steers = $derived(this.snap?.you?.role !== "observer");
  /** plain is true where whoever is on the network can read what is sent. */
  readonly plain = location.protocol === "http:";
  view = $derived<"pair" | "connecting" | "before" | "session" | "after">(
    this.out ? "pair" : !this.snap ? "connecting" : !this.session || this.session.id === this.left ? "before" : this.session.state === "ended" ? "after" : "session",
  );

  private link: Link;
  private version = ""; // of the roomd that this page came from
  private text = "";
  private waiting = new Map<string, { key: string; timers: ReturnType<typeof setTimeout>[] }>();
  private edge: ReturnType<typeof setTimeout> | undefined;
  private troubleEnds: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    const url = location.origin.replace(/^http/, "ws") + "/ws";
    this.link = new Link(url, {
      snapshot: (s) => this.take(s),
      ack: (id) => this.answered(id, "done"),
      nack: (id, why) => this.answered(id, "refused", why),
      live: (good) => this.line(good),
      gone: () => {
        this.link.stop();
        this.snap = null; // nothing of the session stays on the screen of who was sent away
        this.out = true;
      },
    });
  }

  start(): void {
    this.link.start();
    this.tick();
    addEventListener("pageshow", () => this.tick());
    document.addEventListener("visibilitychange", () => this.tick());
  }

  /** do sends a command. key names the control, what is how it is called. */
  do(key: string, what: string, c: Omit<Command, "id">): void {
    const id = uuid();
    if (!this.link.command({ ...c, id })) {
      this.set(key, { id, what, state: "notSent" });
      this.complain(t("tap.notSentSays", { what }), t("tap.notSentDo"));
      setTimeout(() => this.clear(key, id), 2 * noAnswerAfter);
      return;
    }
    this.set(key, { id, what, state: "sending" });
    this.waiting.set(id, {
      key,
      timers: [
        setTimeout(() => this.set(key, { id, what, state: "slow" }), slowAfter),
        setTimeout(() => this.unanswered(id), noAnswerAfter),
      ],
    });
  }

  /** leave goes from the summary of the session that has ended to the start. */
  leave(): void {
    this.left = this.session?.id ?? "";
    localStorage.setItem("left", this.left);
  }

  /** request asks by HTTP for what is no command, and tells the key's result. */
  async request(key: string, what: string, method: string, path: string): Promise<boolean> {
    const id = uuid();
    this.set(key, { id, what, state: "sending" });
    let state: Result["state"] = "noAnswer";
    try {
      const r = await fetch(path, { method, signal: within(noAnswerAfter) });
      state = r.ok ? "done" : "refused";
      if (!r.ok) {
        this.complain(refusal(await r.json()), "");
      }
    } catch {
      // no answer
    }
    this.set(key, { id, what, state });
    if (state === "noAnswer") this.complain(t("tap.noAnswerSays", { what }), t("tap.noAnswerDo"));
    setTimeout(() => this.clear(key, id), state === "done" ? doneFor : 2 * noAnswerAfter);
    return state === "done";
  }

  settle(): void {
    this.trouble = null;
  }

  complain(says: string, todo: string): void {
    this.trouble = { says, do: todo };
    clearTimeout(this.troubleEnds);
    this.troubleEnds = setTimeout(() => (this.trouble = null), troubleFor);
  }

  async loadPlaylists(chosen = ""): Promise<void> {
    try {
      const r = await fetch("/api/v1/playlists?chosen=" + encodeURIComponent(chosen), { cache: "no-store" });
      if (!r.ok) return;
      const list = (await r.json()) as Playlist[];
      this.playlists = list.map((p) => ({ ...p, phases: p.phases ?? [], errors: p.errors ?? [], warnings: p.warnings ?? [] }));
    } catch {
      // asked again when the line is back
    }
  }

  private set(key: string, r: Result): void {
    const was = this.results[key];
    if (was && was.id !== r.id && r.state === "slow") return; // an older tap on the same control
    this.results = { ...this.results, [key]: r };
  }

  private clear(key: string, id: string): void {
    if (this.results[key]?.id !== id) return;
    const rest = { ...this.results };
    delete rest[key];
    this.results = rest;
  }

  private answered(id: string, state: "done" | "refused", why?: Refusal): void {
    const w = this.waiting.get(id);
    if (!w) return;
    w.timers.forEach(clearTimeout);
    this.waiting.delete(id);
    const r = this.results[w.key];
    if (why) this.complain(said(why, why.reason), "");
    else if (this.trouble) this.settle();
    if (r?.id !== id) return;
    this.set(w.key, { ...r, state });
    setTimeout(() => this.clear(w.key, id), state === "done" ? doneFor : 2 * noAnswerAfter);
  }

  private unanswered(id: string): void {
    const w = this.waiting.get(id);
    const r = w && this.results[w.key];
    if (!w || r?.id !== id) return;
    this.set(w.key, { ...r, state: "noAnswer" });
    this.complain(t("tap.noAnswerSays", { what: r.what }), t("tap.noAnswerDo"));
    setTimeout(() => {
      this.waiting.delete(id);
      this.clear(w.key, id);
    }, 5 * noAnswerAfter);
  }

  private line(good: boolean): void {
    this.live = good;
    if (good && this.lost) this.say(t("line.back"));
    this.alarm = good ? "" : t("line.lost");
    this.lost = !good;
    if (good) {
      void this.loadPlaylists();
    } else {
      for (const id of [...this.waiting.keys()]) {
        this.waiting.get(id)!.timers.forEach(clearTimeout);
        this.unanswered(id);
      }
    }
    this.tick();
  }

  private take(s: Snapshot): void {
    // What was tapped just before the line was lost may have been done: then it is in here.
    const done = new Set([...(s.session?.marks ?? []), ...(s.session?.undo ?? [])].map((x) => x.id));
    for (const id of this.waiting.keys()) if (done.has(id)) this.answered(id, "done");
    // The page is only touched where something is new; the times in a snapshot are new each second.
    const text = JSON.stringify({ ...s, now_ms: 0, session: s.session && { ...s.session, elapsed_ms: 0 }, sound: { ...s.sound, latency_ms: 0 } });
    if (text === this.text) return;
    this.text = text;
    const was = this.snap;
    this.snap = s;
    this.tell(was, s);
    this.tick();
    // The page of a newer roomd, though never in a session: this one goes on until then.
    this.version ||= s.version;
    if (s.version !== this.version && this.view !== "session") location.reload();
  }

  /** tell says to who listens what has changed. */
  private tell(was: Snapshot | null, is: Snapshot): void {
    const a = was?.session, b = is.session;
    if (!b || a?.id !== b.id) return;
    if (a.state !== b.state) this.say(t("say.state", { what: b.state === "ending" ? t("state.ending") : b.state === "ended" ? t("state.ended") : t("state.running") }));
    else if (a.phase.name !== b.phase.name) this.say(t("say.phase", { name: b.phase.name }));
    else if (a.phase.held !== b.phase.held) this.say(t("say.state", { what: b.phase.held ? t("state.held") : t("state.running") }));
    else if (b.steer?.coming && b.steer.coming.id !== a.steer?.coming?.id) this.say(t("say.coming", { what: [b.steer.coming.name, b.steer.coming.title].filter(Boolean).join(": ") }));
    else if (b.marks.length > a.marks.length) this.say(t("say.mark", { name: b.marks.at(-1)!.name }));
    else {
      const fresh = b.reminders.find((r) => !a.reminders.some((o) => o.say === r.say && o.due_ms === r.due_ms));
      if (fresh) this.say(t("say.reminder", { what: fresh.say }));
    }
  }

  private say(text: string): void {
    this.says = text;
  }

  /** tick shows the second, and comes again on the next one's edge. */
  private tick(): void {
    clearTimeout(this.edge);
    const at = this.link.now();
    let ms = 0; // without a session: what its clock begins with
    const s = this.session;
    if (s && at !== null) ms = s.state === "ended" ? s.elapsed_ms : Math.max(0, at - s.started_ms);
    this.now = steady(this.now, Math.floor(ms / 1000));
    this.wall = Date.now();
    this.ago = this.live || !Number.isFinite(this.link.heard) ? 0 : Math.round((performance.now() - this.link.heard) / 1000);
    this.rtt = this.link.sync.rtt;
    this.edge = setTimeout(() => this.tick(), untilEdge(ms));
  }
}

export const room = new Room();
