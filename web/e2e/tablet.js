// A tablet: the system's Chromium, at a name as a room's network has it, never localhost, where browsers allow more.
import { readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { chromium } from "playwright-core";
import { findings, arc, devices, file as playlistFile, music, past, playlists, record, trust, version, versions } from "./scenes.js";

export const sizes = [[768, 1024], [1024, 768], [1180, 820], [800, 1280]];
export const palettes = ["amber", "red", "neutral"];

let browser;

export const options = () => ({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--host-resolver-rules=MAP room.local 127.0.0.1"],
});

export async function launch() {
  browser ??= await chromium.launch(options());
  return browser;
}

export async function close() {
  await browser?.close();
  browser = undefined;
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
  page.setDefaultTimeout(8000);
  const faults = [];
  page.on("pageerror", (e) => faults.push(String(e)));
  page.on("console", (m) => {
    if (m.type() === "error" && !/Failed to load resource|WebSocket connection/.test(m.text())) faults.push(m.text());
  });
  return { page, context, faults };
}

const dist = join(import.meta.dirname, "..", "ui", "dist");
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/** show gives a page a snapshot as if a room had sent it; null: there is no room. It
 * returns the line: commands are what the page sent, mute lets nothing through any more. */
export async function show(page, snap) {
  const out = snap === "out"; // the tablet does not belong to the room
  if (out) snap = null;
  const line = { commands: [], mute: () => (line.muted = true), muted: !snap };
  const began = Date.now();
  const now = () => snap.now_ms + Date.now() - began;
  await page.route("http://room.local/**", async (route) => {
    const path = new URL(route.request().url()).pathname;
    if (path === "/api/v1/playlists") return route.fulfill({ json: playlists() });
    if (path === "/api/v1/sticks") return route.fulfill({ json: { sticks: [{ id: "40", name: "MUSIC 32", files: 214, bytes: 4.1e9 }], import: { stick: "MUSIC 32", state: "running", files: 31, of: 214, bytes: 6.2e8, of_bytes: 4.1e9, left_out: [] } } });
    if (path === "/api/v1/log") return route.fulfill({ json: Array.from({ length: 12 }, (_, k) => `time=2026-05-04T08:0${k % 6}:00.000+02:00 level=INFO msg="a device was let in" device="iPad ${k}" role=therapist`) });
    if (path === "/api/v1/doctor") return route.fulfill({ json: findings });
    if (path.endsWith("/arc")) return route.fulfill({ json: arc() });
    if (path === "/api/v1/music") return route.fulfill({ json: music });
    if (path.endsWith("/versions")) return route.fulfill({ json: versions() });
    if (path.includes("/versions/")) return route.fulfill({ json: version() });
    if (path.endsWith("/file")) return route.fulfill({ json: playlistFile() });
    if (out && path === "/api/v1/state") return route.fulfill({ status: 401, json: { reason: "" } });
    if (path === "/api/v1/sessions") return route.fulfill({ json: past });
    if (path === "/api/v1/devices") return route.fulfill({ json: devices });
    if (path === "/api/v1/pair") return route.fulfill({ status: 401, json: { reason: "" } });
    if (path === "/api/v1/trust") return route.fulfill({ json: trust });
    if (path.startsWith("/api/v1/sessions/")) return route.fulfill({ json: record });
    const file = path === "/" ? "/index.html" : path;
    return route.fulfill({ body: await readFile(dist + file), contentType: types[extname(file)] });
  });
  await page.routeWebSocket("ws://room.local/ws", (ws) => {
    if (out) return ws.close({ code: 1008 });
    if (!line.muted) ws.send(JSON.stringify({ type: "snapshot", ...snap, now_ms: now() }));
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
