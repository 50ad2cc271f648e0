// The room as it is set up, and what was changed of it on this tablet and is not saved yet.
import type { Fault, LightOffer as Offer, Setup as RoomSetup, SetupChange as Change, SetupLamp as Lamp } from "../api.gen";
import { room } from "../room.svelte";
import { refusal } from "../said";
import { t } from "../texts.svelte";

const usual = -23; // LUFS: EBU R128's, and the room file's default
const step = 2; // dB: the least that everybody hears
const answers = 8000; // ms
const again = 500; // ms, until what goes on has ended
const anew = 6000; // ms: the room is made anew with what was saved, and does not answer meanwhile
const whole = 30_000; // ms: to hear a device, or to ask bulbs for their places

const pause = (ms: number) => new Promise((ok) => setTimeout(ok, ms));
export const same = (a: Lamp, b: Lamp) => a.driver === b.driver && a.topic === b.topic;

class Setup {
  is = $state.raw<RoomSetup | null>(null);
  /** draft is what was changed here. */
  draft = $state.raw<Change>({});
  /** says is why something was not done, by what it was. */
  says = $state.raw<Record<string, string>>({});
  /** busy is what the room does now: "save", "look", "play DAC". */
  busy = $state("");
  /** mute is true where the room has not answered. */
  mute = $state(false);
  /** locked is true while a session runs, or what sounds like one: nothing can be changed then. */
  locked = $derived(!!room.snap && (!!room.snap.rehearsal || !!room.snap.checking || (!!room.session && room.session.state !== "ended")));

  name = $derived(this.draft.room ?? this.is?.room ?? "");
  device = $derived(this.draft.device ?? this.is?.sound.device ?? "");
  reference = $derived(this.draft.reference ?? this.is?.sound.reference ?? usual);
  /** louder is by how many steps the room sounds louder than usual. */
  louder = $derived(Math.round((this.reference - usual) / step));
  /** dirty is true where there is something to save. */
  dirty = $derived(Object.keys(this.draft).length > 0);
  /** roles are the lamps of each role; "": those that no role has, neither alone nor in a group. */
  roles = $derived.by(() => {
    const l = this.is!.lights, out: Record<string, Offer[]> = Object.fromEntries(["", ...l.roles].map((r) => [r, []]));
    for (const o of l.offers) {
      const [role = ""] = Object.entries(this.draft.lights ?? {}).find(([, lamps]) => lamps.some((x) => same(x, o))) ?? [this.draft.lights ? "" : o.role];
      (out[role] ??= []).push(o);
    }
    const led = new Set(l.roles.flatMap((r) => out[r]!).flatMap((o) => o.members ?? []));
    out[""] = out[""]!.filter((o) => !led.has(o.topic));
    return out;
  });

  private now: AbortController | null = null; // ends what goes on
  private looked = false;

  /** load asks how the room is set up; at first it looks around as well, which takes some seconds. */
  async load(): Promise<void> {
    await this.ask("", "GET", "", undefined, answers);
    if (this.is && !this.looked && !this.locked && !this.busy) await this.look();
  }

  /** save writes what was changed to the room's file; changed is what comes on top. It returns whether that was done. */
  save(changed: Change = {}): Promise<boolean> {
    const all = { ...this.draft, ...changed };
    if (!Object.keys(all).length) return Promise.resolve(true);
    return this.ask("save", "PUT", "", all, whole);
  }

  /** taken waits until the room is made anew with what was saved and this tablet is connected to it, so that the next tap finds it. */
  async taken(): Promise<void> {
    for (const until = performance.now() + anew; performance.now() < until; await pause(again)) {
      if ((await this.ask("", "GET", "", undefined, answers)) && !(this.is?.waits && !this.locked) && room.live) return;
    }
  }

  async look(): Promise<boolean> {
    this.looked = true;
    return (this.looked = await this.ask("look", "POST", "/look", undefined, whole));
  }
  play = (device: string) => this.ask("play " + device, "POST", "/sound/play", { device, reference: this.reference }, whole);
  show = (o: Offer) => this.ask(`show ${o.topic}`, "POST", "/lights/show", { driver: o.driver, topic: o.topic }, whole);

  async join(seconds: number): Promise<void> {
    if (await this.ask("join", "POST", "/zigbee/join", { seconds }, answers)) await this.load();
  }

  /** connect tries a lamp hub, keeps it where it answers, and looks for its lamps. */
  async connect(broker: string): Promise<boolean> {
    this.drop();
    return (broker === "embedded" || (await this.ask("hub", "POST", "/broker/try", { broker }, whole))) && (await this.ask("hub", "PUT", "", { broker }, whole)) && (await this.look());
  }

  change(c: Change): void {
    this.says = {};
    this.draft = { ...this.draft, ...c };
  }

  louderBy(steps: number): void {
    const s = this.is!.sound;
    this.change({ reference: Math.min(s.reference_max, Math.max(s.reference_min, this.reference + steps * step)) });
  }

  /** place gives a lamp to a role; "": to none. */
  place(o: Offer, role: string): void {
    const lights = Object.fromEntries(Object.entries(this.roles).filter(([r]) => r).map(([r, lamps]) => [r, [...lamps.filter((x) => !same(x, o)), ...(r === role ? [o] : [])].map(({ driver, topic }) => ({ driver, topic }))]));
    this.change({ lights });
  }

  /** drop forgets what was changed. */
  drop(): void {
    this.draft = {};
    this.says = {};
  }

  /** hush ends what goes on: what is heard, or the lamp that is lit. */
  hush(): void {
    this.now?.abort();
  }

  /** ask lets the room do something, one thing at a time: it ends what goes on, and waits until that has ended. What is "" is
   * asked beside it. */
  private async ask(what: string, method: string, at: string, body: object | undefined, ms: number): Promise<boolean> {
    if (what && ["save", "hub", "join"].includes(this.busy)) return false;
    const mine = new AbortController();
    const until = performance.now() + anew;
    let late = false, wrong = "";
    const timer = setTimeout(() => {
      late = true;
      mine.abort();
    }, ms);
    if (what) {
      this.hush();
      this.now = mine;
      [this.busy, this.says] = [what, { ...this.says, [what]: "" }];
    }
    try {
      for (;;) {
        const r = await fetch("/api/v1/setup" + at, { method, cache: "no-store", signal: mine.signal, ...(body ? { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } } : {}) }).catch((e: unknown) => {
          if (mine.signal.aborted || performance.now() > until) throw e;
        });
        if (!r) {
          await pause(again);
          continue;
        }
        const told = r.status === 204 ? null : ((await r.json()) as RoomSetup & Fault);
        this.mute = false;
        // Beside something that knows more by then it is old, but for what is wrong with the room's file.
        if (r.ok && told) this.is = what || !this.busy || !this.is ? told : { ...this.is, problems: told.problems, waits: told.waits };
        if (!r.ok) wrong = refusal(told);
        if (told?.code !== "setup-busy" || mine.signal.aborted) break;
        wrong = "";
        await pause(again);
      }
    } catch {
      if (late || !mine.signal.aborted) {
        wrong = t("line.noAnswer");
        this.mute = true;
      }
    }
    clearTimeout(timer);
    const done = !wrong && !mine.signal.aborted;
    if (!what || this.now !== mine) return done;
    if (what === "save" && done) this.draft = {};
    [this.busy, this.says] = ["", { ...this.says, [what]: wrong }];
    return done;
  }
}

export const setup = new Setup();
