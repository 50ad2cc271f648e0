// The page and its clock in WebKit, which iPads have, by way of WebKitGTK: it shares layout and script with them, not network,
// certificates or power. WebDriver as W3C has it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { light } from "./png.js";
import { eventually, freePort, room } from "./room.js";
import { flipping } from "./settled.js";

let willow, screen, driver, base, session;

before(async () => {
  willow = await room();
  // A screen of its own, on the first free number.
  screen = spawn("Xvfb", ["-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"], { stdio: ["ignore", "pipe", "ignore"] });
  const display = await new Promise((ok, no) => {
    screen.stdout.once("data", (d) => ok(String(d).trim()));
    screen.once("error", no);
  });
  const port = await freePort();
  driver = spawn("WebKitWebDriver", [`--port=${port}`, "--host=127.0.0.1"], {
    env: { ...process.env, DISPLAY: `:${display}`, WEBKIT_DISABLE_DMABUF_RENDERER: "1", WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1", LIBGL_ALWAYS_SOFTWARE: "1" }, stdio: "ignore",
  });
  base = `http://127.0.0.1:${port}`;
  await eventually("the driver answers", async () => (await fetch(base + "/status")).ok);
  const { sessionId } = await ask("POST", "/session", { capabilities: { alwaysMatch: { browserName: "MiniBrowser", "webkitgtk:browserOptions": { binary: await miniBrowser(), args: ["--automation"] } } } });
  session = `/session/${sessionId}`;
});

after(async () => {
  if (session) await ask("DELETE", session).catch(() => {});
  driver?.kill();
  screen?.kill();
  await willow?.close();
});

async function miniBrowser() {
  const { readdir } = await import("node:fs/promises");
  for (const lib of ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]) {
    const found = (await readdir(lib).catch(() => [])).filter((f) => f.startsWith("webkit2gtk-4")).sort().at(-1);
    if (found) return `${lib}/${found}/MiniBrowser`;
  }
  throw new Error("MiniBrowser is not installed: rig/setup test does it");
}

async function ask(method, path, body) {
  const r = await fetch(base + path, { method, body: method === "POST" ? JSON.stringify(body ?? {}) : undefined });
  const { value } = await r.json();
  if (!r.ok) throw new Error(`${path}: ${JSON.stringify(value)}`);
  return value;
}
const run = (script, ...args) => ask("POST", `${session}/execute/sync`, { script, args });
const text = (selector) => run("return document.querySelector(arguments[0])?.innerText ?? ''", selector);
const seconds = (t) => t.split(":").reduce((s, n) => s * 60 + Number(n), 0);

test("in WebKit: paired by a code, started, marked; the clock is the room's and the page dark", async () => {
  // A name that is not localhost needs an entry in the hosts file; the address of this computer is as good.
  await ask("POST", `${session}/url`, { url: willow.url.replace("room.local", "127.0.0.1") });
  await eventually("it asks for a code", async () => /does not belong/.test(await text("main")));
  const { code } = await willow.pair();
  for (const d of code) await run("[...document.querySelectorAll('.pad .key')].find((k) => k.textContent.trim() === arguments[0]).click()", d);
  await eventually("the start is shown", async () => /Try the room/.test(await text("main")));
  await willow.command({ do: "start", playlist: "short" });
  await eventually("the session is shown", async () => /^0:00:/.test(await text(".elapsed")));
  await eventually("a mark is done", async () => {
    await run("[...document.querySelectorAll('.key')].find((k) => k.textContent.trim().startsWith('Vitals')).click()");
    return (await willow.state()).session.marks.length > 0;
  });
  const { flips, stood } = await ask("POST", `${session}/execute/async`, { script: `(${flipping})().then(arguments[0]);`, args: [] });
  assert.ok(flips.length >= 4 && flips.length <= 5, JSON.stringify(flips));
  const asked = performance.timeOrigin + performance.now();
  const { session: s } = await willow.state();
  const began = (asked + performance.timeOrigin + performance.now()) / 2 - s.elapsed_ms;
  for (const [at, shown] of flips) {
    const late = at - began - seconds(shown) * 1000;
    assert.ok(late > -250 && late < 250 + stood, `${shown} came ${late.toFixed(0)} ms late; the page stood still for ${stood.toFixed(0)} ms`);
  }
  const png = Buffer.from(await ask("GET", `${session}/screenshot`), "base64");
  const { y, blue } = light(png);
  assert.ok(y <= 1.5 && blue <= 0.1, `${y} ${blue}`);
  // Lost and found again.
  await willow.kill();
  await eventually("it is said to be the last known", async () => /Last known/.test(await text(".state")));
  await willow.start();
  await eventually("it is back", async () => /^(?!Last known)\S/.test(await text(".state")));
});
