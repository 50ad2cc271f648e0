// The line to the desk, and the rooms as they came over it.
import { words } from "../texts.svelte";
import { within } from "../within";
import type { About, News, Room } from "./api.gen";
import { byName, current, newer, older, order, place, urgency, type Place } from "./rooms";

const checkEvery = 10_000;
const patience = 5000;
const tickEvery = 5000; // only minutes are shown

/** Shown is a room on the page: its card changes with it, and no other. */
export class Shown {
  room: Room = $state.raw({} as Room);
  constructor(readonly id: string, r: Room) {
    this.room = r;
  }
}

/** Desk is the desk as this page knows it. */
class Desk {
  about = $state.raw<About | null>(null);
  /** out: this device does not belong to the desk, or no longer */
  out = $state(false);
  /** seen: the rooms came once */
  seen = $state(false);
  live = $state(false);
  /** connected: the desk reaches its broker */
  connected = $state(true);
  /** now is the desk's clock, ms; it moves every few seconds. */
  now = $state(0);
  /** ago is for how long the desk has not been heard, ms. */
  ago = $state(0);
  /** sorted are all rooms: what needs somebody, what ends next, the others by name. */
  sorted = $state.raw<Shown[]>([]);
  houses = $state.raw<string[]>([]);
  /** revision is that of the current playlists; "": all rooms have the same. */
  revision = $state("");

  private rooms = new Map<string, Shown>();
  private names = new Map<string, number>();
  private placed = new Map<string, Place>(); // where each room stands as sorted
  private sortedFor = ""; // the language of names
  private source: EventSource | null = null;
  private again: ReturnType<typeof setTimeout> | undefined;
  private offset = 0; // of the desk's clock to ours
  private heard = 0; // when the desk was last heard; by the time of day, which goes on while a tablet sleeps
  private version = "";

  get(id: string): Shown | undefined {
    return this.rooms.get(id);
  }

  start(): void {
    void this.connect();
    setInterval(() => void this.check(), checkEvery);
    setInterval(() => this.tick(), tickEvery);
    const wake = () => { if (!document.hidden) void (this.source ? this.check() : this.connect()); };
    document.addEventListener("visibilitychange", wake);
    addEventListener("pageshow", wake);
    addEventListener("online", wake);
  }

  /** ask asks the desk about itself, and whether it knows this device. */
  private async ask(): Promise<boolean> {
    try {
      const r = await fetch("/api/v1/desk", { cache: "no-store", signal: within(patience) });
      if (r.status === 401) {
        this.leave();
        return false;
      }
      if (!r.ok) return false;
      this.about = (await r.json()) as About;
      this.connected = this.about.connected;
      this.version ||= this.about.version;
      if (this.about.version !== this.version) location.reload(); // the page of a newer desk
      return true;
    } catch {
      return false;
    }
  }

  /** check finds a line that is gone without a word. */
  private async check(): Promise<void> {
    if (!this.source || this.out) return;
    const source = this.source;
    const good = await this.ask();
    if (source !== this.source) return;
    if (good) this.heard = Date.now();
    else this.lost();
  }

  private async connect(): Promise<void> {
    clearTimeout(this.again);
    if (this.out) return;
    if (!(await this.ask())) return this.lost();
    this.source?.close();
    const source = (this.source = new EventSource("/api/v1/desk/rooms"));
    source.onmessage = (e: MessageEvent<string>) => this.take(JSON.parse(e.data) as News);
    source.onerror = () => { if (source === this.source) this.lost(); };
  }

  /** lost tries again after a while of its own, so that the pages of a clinic don't come back all at once. */
  private lost(): void {
    this.source?.close();
    this.source = null;
    this.live = false;
    this.tick();
    clearTimeout(this.again);
    if (!this.out) this.again = setTimeout(() => void this.connect(), 1000 + Math.random() * 3000);
  }

  /** leave: nothing of the rooms stays on the screen of who was sent away. */
  private leave(): void {
    this.out = true;
    this.lost();
    this.rooms.clear();
    this.sort();
    this.seen = false;
  }

  private take(news: News): void {
    this.heard = Date.now();
    this.offset = news.now_ms - performance.now();
    this.connected = news.connected;
    this.live = true;
    let names = false, moved = !this.seen;
    const gone = new Set(news.gone);
    if (news.all) {
      const there = new Set(news.rooms.map((r) => r.id));
      for (const id of this.rooms.keys()) if (!there.has(id)) gone.add(id);
    }
    for (const id of gone) names = this.rooms.delete(id) || names;
    for (const r of news.rooms) {
      const was = this.rooms.get(r.id);
      if (!was) this.rooms.set(r.id, new Shown(r.id, r));
      const is = newer(was?.room, r);
      names ||= was?.room.name !== r.name || was.room.house !== r.house;
      moved ||= !was || urgency(was.room, this.now) !== urgency(is, news.now_ms) || was.room.ends_ms !== is.ends_ms || was.room.held !== is.held || was.room.library.revision !== is.library.revision;
      if (was) was.room = is;
    }
    this.seen = true;
    if (names) this.sortedFor = "";
    this.tick(names || moved);
  }

  /** clock is the desk's clock at this moment, ms. */
  clock(): number {
    return Math.round(performance.now() + this.offset);
  }

  /** tick moves the clock, and a session that is over with it. */
  private tick(moved = false): void {
    const now = this.clock();
    if (Math.abs(now - this.now) >= tickEvery / 2) this.now = now; // each card looks at it
    this.ago = this.live ? 0 : Date.now() - this.heard;
    if (moved || this.sortedFor !== words.language || this.sorted.some((s) => place(s.room, this.now) !== this.placed.get(s.id))) this.sort();
  }

  private sort(): void {
    const all = [...this.rooms.values()];
    if (this.sortedFor !== words.language) {
      this.sortedFor = words.language;
      const compare = byName(words.language);
      this.names = new Map(all.map((s) => s.room).sort(compare).map((r, i) => [r.id, i]));
      this.houses = [...new Set(all.map((s) => s.room.house ?? "").filter(Boolean))].sort(new Intl.Collator(words.language, { numeric: true }).compare);
    }
    this.sorted = all.sort((a, b) => order(a.room, b.room, this.now, this.names));
    this.placed = new Map(all.map((s) => [s.id, place(s.room, this.now)]));
    this.revision = current(all.map((s) => s.room));
  }

  /** olderRooms counts the rooms that have other playlists than the current ones. */
  olderRooms = $derived(this.revision ? this.sorted.filter((s) => older(s.room, this.revision)).length : 0);
}

export const desk = new Desk();
