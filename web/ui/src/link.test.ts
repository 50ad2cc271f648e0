import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Link } from "./link";

/** Wire is a websocket that does what the test says; like a real one it stays open when nothing comes through. */
class Wire {
  static all: Wire[] = [];
  readyState = 0;
  sent: { type: string; t0?: number; id?: string }[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((e: { data: string }) => void) | null = null;
  onclose: ((e: { code: number }) => void) | null = null;
  onerror: (() => void) | null = null;
  closed = false;
  answers = true;
  constructor() {
    Wire.all.push(this);
  }
  send(text: string) {
    const m = JSON.parse(text);
    this.sent.push(m);
    if (this.answers && m.type === "time") setTimeout(() => this.hear({ type: "time", t0: m.t0, t1: m.t0 + 5000, t2: m.t0 + 5000 }), 4);
  }
  hear(m: object) {
    this.onmessage?.({ data: JSON.stringify(m) });
  }
  open() {
    this.readyState = 1;
    this.onopen?.();
    this.hear({ type: "snapshot", now_ms: performance.now() + 5000 });
  }
  close() {
    this.closed = true;
    this.readyState = 3;
  }
}

const listeners = new Map<string, () => void>();
const last = () => Wire.all.at(-1)!;
let lines: boolean[];
let gone: number;
let heard: string[];

function link(): Link {
  const l = new Link("ws://room/ws", {
    snapshot: () => {}, ack: (id) => heard.push("ack " + id), nack: (id, why) => heard.push(`nack ${id} ${why.reason}`), live: (good) => lines.push(good), gone: () => gone++,
  });
  l.start();
  return l;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"] });
  Wire.all = [];
  lines = [];
  gone = 0;
  heard = [];
  listeners.clear();
  const on = (name: string, f: () => void) => listeners.set(name, f);
  vi.stubGlobal("WebSocket", Object.assign(Wire, { OPEN: 1 }));
  vi.stubGlobal("document", { hidden: false, addEventListener: on });
  vi.stubGlobal("addEventListener", on);
  vi.stubGlobal("fetch", async () => ({ status: 401 }));
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("measures the clock in a burst, then asks once a second", () => {
  const l = link();
  last().open();
  vi.advanceTimersByTime(100);
  expect(last().sent).toHaveLength(8);
  expect(l.sync.rtt).toBe(4);
  expect(Math.abs(l.now()! - performance.now() - 4998)).toBeLessThan(0.01);
  vi.advanceTimersByTime(5000);
  expect(last().sent.length).toBe(12);
  expect(lines).toEqual([true]);
});

test("a line that says nothing is stale within 3.3 s, and another is tried", () => {
  link();
  const first = last();
  first.open();
  vi.advanceTimersByTime(2000);
  first.answers = false;
  vi.advanceTimersByTime(1900);
  expect(lines).toEqual([true]);
  vi.advanceTimersByTime(1350); // the last answer was up to a second before
  expect(lines).toEqual([true, false]);
  expect(first.closed).toBe(true);
  expect(last()).not.toBe(first);
  last().open();
  expect(lines).toEqual([true, false, true]);
});

test("a command is sent on a good line, once, and never on a stale one", () => {
  const l = link();
  expect(l.command({ id: "early", do: "hold" })).toBe(false);
  last().open();
  vi.advanceTimersByTime(100);
  const tapped = l.now()!;
  expect(l.command({ id: "a", do: "hold" })).toBe(true);
  expect(Math.abs((last().sent.at(-1) as { before_ms?: number }).before_ms! - tapped - 3000)).toBeLessThanOrEqual(1);
  last().hear({ type: "ack", id: "a" });
  last().hear({ type: "nack", id: "b", reason: "no" });
  expect(heard).toEqual(["ack a", "nack b no"]);
  last().answers = false;
  vi.advanceTimersByTime(5000);
  expect(l.command({ id: "late", do: "end" })).toBe(false);
  last().open();
  vi.advanceTimersByTime(5000);
  expect(Wire.all.flatMap((w) => w.sent).filter((m) => m.type === "command").map((m) => m.id)).toEqual(["a"]);
});

test("a line that does not open is given up after 3 s", () => {
  link();
  const first = last();
  vi.advanceTimersByTime(2900);
  expect(Wire.all).toHaveLength(1);
  vi.advanceTimersByTime(400);
  expect(first.closed).toBe(true);
  expect(Wire.all).toHaveLength(2);
});

test("tries again at once, then less often, but every 2.5 s at least", () => {
  link();
  const times: number[] = [];
  for (let i = 0; i < 8; i++) {
    const began = performance.now(), n = Wire.all.length;
    last().onclose?.({ code: 1006 });
    while (Wire.all.length === n) vi.advanceTimersByTime(10);
    times.push(performance.now() - began);
  }
  expect(times[0]).toBeLessThanOrEqual(320); // in steps of 10 ms
  expect(Math.max(...times)).toBeLessThanOrEqual(2510);
  expect(times.at(-1)).toBeGreaterThan(1400);
});

test("asks whether it is known where it is turned away", async () => {
  link();
  last().onclose?.({ code: 1006 });
  await vi.advanceTimersByTimeAsync(10);
  expect(gone).toBe(1);
});

test("coming to the front takes a new line at once where the old one is not sure", () => {
  link();
  last().open();
  last().answers = false;
  vi.advanceTimersByTime(1800);
  const n = Wire.all.length;
  listeners.get("visibilitychange")!();
  expect(Wire.all.length).toBe(n + 1);
  expect(lines).toEqual([true, false]);
});

test("coming to the front keeps a line that was just heard", () => {
  link();
  last().open();
  vi.advanceTimersByTime(1000);
  const n = Wire.all.length;
  listeners.get("pageshow")!();
  expect(Wire.all.length).toBe(n);
});

test("a tablet whose clock stood still while it slept counts on from the time of day", () => {
  const l = link();
  last().open();
  vi.advanceTimersByTime(1000);
  const before = l.now()!;
  vi.setSystemTime(Date.now() + 60_000); // the monotonic clock did not move
  last().answers = false;
  vi.advanceTimersByTime(250);
  expect(l.now()! - before).toBeGreaterThan(60_000);
  expect(l.now()! - before).toBeLessThan(60_500);
  expect(lines.at(-1)).toBe(false);
});
