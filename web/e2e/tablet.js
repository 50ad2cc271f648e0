// A tablet: the system's Chromium, at a name as a room's network has it, never localhost, where browsers allow more.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { chromium } from "playwright-core";
import { patience } from "./room.js";
import { findings, arc, changed, devices, file as playlistFile, music, past, playlists, record, setup, trust, version, versions } from "./scenes.js";

export const sizes = [[768, 1024], [1024, 768], [1180, 820], [820, 1180], [800, 1280]];
/** pictures says whether the screens are kept in shots/, to be looked at (ROOMD_PICTURES=1). */
export const pictures = !!process.env.ROOMD_PICTURES;
export const palettes = ["amber", "red", "neutral"];

const free = []; // tablets that no test has now
let browser; // once it has been started, or is about to

// The same browser without its windows, which starts sooner.
const shell = "/usr/bin/chromium-headless-shell";

/** options are what a browser is started with; whole: one that reads what its user has told it to trust. Text is as wide as on a tablet:
 * without hinting. */
export const options = ({ whole = false } = {}) => ({
  executablePath: process.env.CHROMIUM ?? (!whole && existsSync(shell) ? shell : "/usr/bin/chromium"),
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--font-render-hinting=none", "--host-resolver-rules=MAP room.local 127.0.0.1"],
});

export async function launch() {
  browser ??= chromium.launch(options());
  return browser;
}

export async function close() {
  await (await browser)?.close();
  browser = undefined;
  free.length = 0;
}

/** tablet is a page of its own, with its own cookies. faults collects what must not happen on any page: errors, and
 * whatever the content security policy blocked. */
export async function tablet({ size = [1180, 820], palette = "amber", ...more } = {}) {
  const context = await (await launch()).newContext({ viewport: { width: size[0], height: size[1] }, hasTouch: true, locale: "en-US", ...more });
  await context.addInitScript((p) => {
    localStorage.setItem("palette", p);
    document.addEventListener("securitypolicyviolation", (e) => console.error(`csp: ${e.violatedDirective} ${e.blockedURI}`));
  }, palette);
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  const faults = [];
  page.on("pageerror", (e) => faults.push(String(e)));
  page.on("console", (m) => {
    if (m.type() === "error" && !/Failed to load resource|WebSocket connection/.test(m.text())) faults.push(m.text());
  });
  // Nobody touches it for 20 s: what waits for that can be done at once.
  await context.addInitScript(() => {
    const later = setTimeout, waiting = [];
    globalThis.setTimeout = (f, ms, ...more) => (ms === 20_000 && waiting.push(f), later(f, ms, ...more));
    globalThis.untouched = () => waiting.splice(0).forEach((f) => f());
  });
  return { page, context, faults };
}

/** lent is a tablet for one of many tests that show something on it: to start one costs as much as to show something. used: another test had
 * it before. */
export async function lent(t) {
  const used = free.pop(), it = used ?? (await tablet());
  t.after(() => free.push(it));
  if (used) {
    await it.page.evaluate(() => localStorage.clear());
    await it.page.unrouteAll({ behavior: "ignoreErrors" });
    await it.page.setViewportSize({ width: 1180, height: 820 });
  }
  it.faults.length = 0;
  return { ...it, used: !!used };
}

const dist = join(import.meta.dirname, "..", "ui", "dist");
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/** show gives a page a snapshot as if a room had sent it; null: there is no room. It
 * returns the line: commands are what the page sent, mute lets nothing through any more. plant changes what the room sends; own answers a
 * request in its place, where it is true. */
export async function show(page, snap, plant = (sent) => sent, own = () => false) {
  const out = snap === "out"; // the tablet does not belong to the room
  if (out) snap = null;
  const line = { commands: [], mute: () => (line.muted = true), muted: !snap };
  const began = Date.now();
  const now = () => snap.now_ms + Date.now() - began;
  await page.route("http://room.local/**", async (route) => {
    if (await own(route)) return;
    const json = (sent, status = 200) => route.fulfill({ status, json: plant(sent) });
    const path = new URL(route.request().url()).pathname;
    if (path === "/api/v1/playlists") return json(playlists());
    if (path === "/api/v1/sticks") return json({ sticks: [{ id: "40", name: "MUSIC 32", files: 214, bytes: 4.1e9 }], import: { stick: "MUSIC 32", state: "running", files: 31, of: 214, bytes: 6.2e8, of_bytes: 4.1e9, left_out: [] } });
    if (path.startsWith("/api/v1/setup")) return json(setup());
    if (path.startsWith("/api/v1/clinic")) return json({ joined: true, name: "North clinic", fixed: false, reach: "reached", for_ms: 5_400_000 });
    if (path === "/api/v1/log") return json(Array.from({ length: 12 }, (_, k) => `time=2026-05-04T08:0${k % 6}:00.000+02:00 level=INFO msg="a device was let in" device="iPad ${k}" role=therapist`));
    if (path === "/api/v1/doctor") return json(findings);
    if (path.endsWith("/arc")) return json(arc());
    if (path.endsWith("/change")) return json(changed());
    if (path === "/api/v1/music") return json(music);
    if (path.endsWith("/versions")) return json(versions());
    if (path.includes("/versions/")) return json(version());
    if (path.endsWith("/file")) return json(playlistFile());
    if (out && path === "/api/v1/state") return json({ reason: "" }, 401);
    if (path === "/api/v1/sessions") return json(past);
    if (path === "/api/v1/devices") return json(devices);
    if (path === "/api/v1/pair" && route.request().method() === "GET") return json({ command: "sudo -u roomd roomd pair", sheet: false });
    if (path === "/api/v1/pair") return json({ reason: "" }, 401);
    if (path === "/api/v1/pair/codes") return json({ role: "therapist", code: "482913", link: "http://room.local:8080/pair#Zk3Q9v2m1tYw", qr: Array.from({ length: 29 }, (_, y) => Array.from({ length: 29 }, (_, x) => ((x * 7 + y * 13 + x * y) % 3 ? 0 : 1)).join("")), expires_in_ms: 300_000 });
    if (path === "/api/v1/pair/attempts") return json({ count: 0, addresses: 0, ago_ms: 0 });
    if (path === "/api/v1/trust") return json(trust);
    if (path.startsWith("/api/v1/sessions/")) return json(record);
    const file = path === "/" ? "/index.html" : path;
    return route.fulfill({ body: await readFile(dist + file), contentType: types[extname(file)] });
  });
  await page.routeWebSocket("ws://room.local/ws", (ws) => {
    if (out) return ws.close({ code: 1008 });
    if (!line.muted) ws.send(JSON.stringify({ type: "snapshot", ...plant(snap), now_ms: now() }));
    ws.onMessage((text) => {
      const m = JSON.parse(String(text));
      if (m.type === "command") line.commands.push(m);
      if (m.type === "time" && !line.muted) ws.send(JSON.stringify({ type: "time", t0: m.t0, t1: now(), t2: now() }));
    });
  });
  await page.goto("http://room.local/", { waitUntil: "commit" });
  await page.locator(snap ? "header h1" : "main h1").waitFor();
  await page.waitForTimeout(450); // from then on taps count
  return line;
}
