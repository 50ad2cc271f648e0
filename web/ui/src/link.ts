// The line to the room. A websocket does not notice that the wifi is gone: it stays open, takes what is sent, and says
// nothing. So the room is asked for the time once a second, and a line that says nothing for three is given up.
import { Sync } from "./clock";
import type { Command, FromRoom, Said, Snapshot, ToRoom } from "./protocol";
import { within } from "./within";

/** Refusal is why the room did not do something. */
export interface Refusal extends Said { reason: string }

export interface Heard {
  snapshot(s: Snapshot): void;
  ack(id: string): void;
  nack(id: string, why: Refusal): void;
  /** live is said when the line is good, and when it is not. */
  live(good: boolean): void;
  /** gone is said when the room does not know this tablet (any more). */
  gone(): void;
}

export const pingEvery = 1000;
export const staleAfter = 3000;
const lateAfter = 3000; // a tap that reaches the room later than this is not done
const connectWithin = 3000;
const firstRetry = 250;
const lastRetry = 2000;
const gap = 2000; // of this tablet's timers: it was asleep

export class Link {
  readonly sync = new Sync();
  /** heard is when the room was last heard, on this tablet's clock. */
  heard = -Infinity;
  live = false;

  private socket: WebSocket | null = null;
  private began = 0;
  private opened = false;
  private retry = firstRetry;
  private again: ReturnType<typeof setTimeout> | undefined;
  private looked = 0; // when look last ran
  private slept = 0; // by how much the time of day was ahead of our clock then
  private asked = 0;
  private ended = false;
  private looking: ReturnType<typeof setInterval> | undefined;
  private burst = 0; // questions of the first burst still to ask

  /** token: of the page at /wall, which has no cookie in a frame of another site */
  constructor(private url: string, private to: Heard, private token = "") {}

  start(): void {
    this.looked = performance.now();
    this.slept = Date.now() - this.looked;
    this.looking = setInterval(() => this.look(), 250);
    const wake = () => { if (!document.hidden) this.wake(); };
    document.addEventListener("visibilitychange", wake);
    addEventListener("pageshow", wake);
    addEventListener("online", wake);
    this.connect();
  }

  /** stop ends it for good. */
  stop(): void {
    clearInterval(this.looking);
    this.ended = true;
    this.drop();
  }

  /** now is the room's clock; null before it was heard once. */
  now(): number | null {
    const offset = this.sync.offset;
    return offset === null ? null : performance.now() + offset;
  }

  /** command sends c, and says whether it went out. It never waits in a queue: a tap is done now or not at all. */
  command(c: Command): boolean {
    if (!this.live || this.socket?.readyState !== WebSocket.OPEN) return false;
    this.send({ type: "command", ...c, before_ms: Math.round(this.now()!) + lateAfter });
    return true;
  }

  private look(): void {
    const now = performance.now();
    const slept = Date.now() - now - this.slept;
    if (now - this.looked > gap || slept > gap) {
      // Some tablets' clocks stand still while they sleep. The time of day tells how long, until the room is heard again.
      if (slept > gap && slept < 12 * 3600_000) {
        this.sync.shift(slept);
        this.heard = Math.min(this.heard, now - slept);
      }
      this.slept += slept;
      this.wake();
    } else if (Math.abs(slept) > 50) {
      this.slept += slept; // somebody set the time of day
    }
    this.looked = now;
    if (this.live && now - this.heard > staleAfter) this.lost();
    else if (this.socket && !this.opened && now - this.began > connectWithin) this.replace();
    else if (this.socket && this.opened && !this.live && now - this.began > connectWithin + staleAfter) this.replace();
    if (this.opened && now - this.asked >= pingEvery - 10) this.ask();
  }

  /** wake is for when the tablet was asleep, or its wifi came back: what it had is not to be trusted. */
  private wake(): void {
    this.retry = firstRetry;
    if (this.live && performance.now() - this.heard < 1500) return this.ask();
    if (this.socket && !this.opened && performance.now() - this.began < 500) return;
    if (this.live) this.lost();
    else this.replace();
  }

  private lost(): void {
    this.live = false;
    this.to.live(false);
    this.replace();
  }

  private replace(): void {
    this.drop();
    this.connect();
  }

  private drop(): void {
    clearTimeout(this.again);
    const s = this.socket;
    this.socket = null;
    this.opened = false;
    if (s) {
      s.onopen = s.onmessage = s.onclose = s.onerror = null;
      s.close();
    }
  }

  private connect(): void {
    clearTimeout(this.again);
    if (this.ended) return;
    this.began = performance.now();
    const s = this.token ? new WebSocket(this.url, ["roomd.wall", "roomd.token." + this.token]) : new WebSocket(this.url);
    this.socket = s;
    s.onopen = () => {
      this.opened = true;
      this.sync.fresh();
      this.burst = 8;
      this.ask();
    };
    s.onmessage = (e) => this.hear(String(e.data));
    s.onclose = (e) => {
      const refused = !this.opened || e.code === 1008;
      this.drop();
      if (this.live) {
        this.live = false;
        this.to.live(false);
      }
      if (refused) void this.asked401();
      this.again = setTimeout(() => this.connect(), this.retry * (0.75 + Math.random() / 2));
      this.retry = Math.min(lastRetry, this.retry * 2);
    };
  }

  /** asked401 finds out whether the room turns us away: a websocket does not say why it failed. */
  private async asked401(): Promise<void> {
    try {
      const r = await fetch("/api/v1/state", { cache: "no-store", signal: within(connectWithin), ...(this.token && { headers: { Authorization: "Bearer " + this.token } }) });
      if (r.status === 401) this.to.gone();
    } catch {
      // not there at all: it is tried again anyway
    }
  }

  private ask(): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.asked = performance.now();
    this.send({ type: "time", t0: this.asked });
  }

  private send(m: ToRoom): void {
    this.socket!.send(JSON.stringify(m));
  }

  private hear(text: string): void {
    const now = performance.now();
    const m = JSON.parse(text) as FromRoom;
    this.heard = now;
    switch (m.type) {
      case "time":
        this.sync.add(m.t0, m.t1, m.t2, now);
        if (this.burst > 0 && --this.burst > 0) this.ask();
        break;
      case "snapshot":
        this.sync.hint(m.now_ms, now);
        this.retry = firstRetry;
        if (!this.live) {
          this.live = true;
          this.to.live(true);
        }
        this.to.snapshot(m);
        break;
      case "ack":
        this.to.ack(m.id);
        break;
      case "nack":
        this.to.nack(m.id, m);
    }
  }
}
