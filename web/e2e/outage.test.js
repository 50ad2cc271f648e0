// A tablet whose network really goes away: Chromium in a network namespace of its own, its cable cut, its packets lost, its
// address changed. Needs root, as the namespaces do.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { light } from "./png.js";
import { eventually, freePort, patience, promised, room } from "./room.js";
import { settled, tapped } from "./settled.js";
import { options } from "./tablet.js";

const id = `rt${process.pid % 10_000}`;
const net = `10.${80 + (process.pid % 100)}.${(process.pid >> 7) % 250}`;
const long = process.env.ROOMD_BARS === "1";
const ip = (line) => execFileSync("ip", line.split(" "), { stdio: ["ignore", "ignore", "pipe"] });
const inside = (line) => ip(`netns exec ${id} ip ${line}`);

let willow, browser, dir, page;

before(async () => {
  ip(`netns add ${id}`);
  ip(`link add ${id}a type veth peer name ${id}b`);
  ip(`link set ${id}b netns ${id}`);
  ip(`addr add ${net}.1/24 dev ${id}a`);
  ip(`link set ${id}a up`);
  inside(`addr add ${net}.2/24 dev ${id}b`);
  inside(`link set ${id}b up`);
  inside("link set lo up");
  const port = await freePort();
  willow = await room(undefined, undefined, `0.0.0.0:${port}`);
  dir = await mkdtemp(join(tmpdir(), "roomd-ns-"));
  const wrapped = join(dir, "chromium");
  const { executablePath, args } = options();
  await writeFile(wrapped, `#!/bin/sh\nexec ip netns exec ${id} ${executablePath} "$@"\n`);
  await chmod(wrapped, 0o755);
  browser = await chromium.launch({ executablePath: wrapped, args: args.map((a) => a.replace("127.0.0.1", `${net}.1`)) });
  const context = await browser.newContext({ viewport: { width: 1180, height: 820 }, hasTouch: true, locale: "en-US" });
  page = await context.newPage();
  page.setDefaultTimeout(patience);
  await page.goto(willow.url + (await willow.pair()).link);
  await page.locator(".cards .row").first().waitFor();
  await willow.command({ do: "start", playlist: "short" });
  await page.locator(".elapsed").waitFor();
  await page.waitForTimeout(1500);
});

after(async () => {
  await browser?.close();
  await willow?.close();
  ip(`netns del ${id}`);
  await rm(dir, { recursive: true, force: true });
});

const seconds = (t) => t.split(":").reduce((s, n) => s * 60 + Number(n), 0);
const key = (label) => page.locator(".key", { has: page.getByText(label, { exact: true }) }).last(); // the undo of a mark has its name too

/** wrong sends what is on its way to nobody: the link is up, and every packet is lost. */
const wrong = (lost) => {
  const mac = lost ? "lladdr 02:00:00:00:00:99 nud permanent" : "";
  if (lost) {
    ip(`neigh replace ${net}.2 dev ${id}a ${mac}`);
    inside(`neigh replace ${net}.1 dev ${id}b ${mac}`);
  } else {
    ip(`neigh del ${net}.2 dev ${id}a`);
    inside(`neigh del ${net}.1 dev ${id}b`);
  }
};

/** clock is by how many ms the clock on the page is off, watched until stop is called; the worst. */
async function watch() {
  const { session } = await willow.state();
  const began = Date.now() - session.elapsed_ms;
  let worst = 0, going = true;
  const run = (async () => {
    while (going) {
      const before = Date.now();
      const shown = seconds(await page.locator(".elapsed").innerText()) * 1000;
      const after = Date.now();
      // What is shown is right if it was at any moment while it was asked for.
      const early = before - began - (shown + 1000), late = shown - (after - began);
      worst = Math.max(worst, early, late);
      await new Promise((ok) => setTimeout(ok, 90));
    }
  })();
  return { stop: async () => ((going = false), await run, worst) };
}

/** outage cuts the tablet off for s seconds, and judges what it showed and did. */
async function outage(what, s, cut, mend) {
  const clock = await watch();
  const marks = (await willow.state()).session.marks.length;
  const began = Date.now();
  await cut();
  if (s >= 5) {
    await page.getByText("Last known").waitFor({ timeout: promised(5000) });
    await settled(page);
    await page.keyboard.press("Shift"); // the rows may sleep
    await tapped(key("Vitals"));
    await page.getByText("Vitals: not sent").first().waitFor({ timeout: promised(1000) });
    const { y } = light(await page.screenshot());
    assert.ok(y <= 1.5, `${what}: ${y} % of white`);
  }
  await new Promise((ok) => setTimeout(ok, Math.max(0, began + s * 1000 - Date.now())));
  await mend();
  const mended = Date.now();
  await page.locator(".state", { hasText: "No sound output" }).waitFor();
  await eventually("a tap is done", async () => (await page.locator(".outlined").count()) === 0);
  const back = Date.now() - mended;
  await page.waitForTimeout(1200);
  const off = await clock.stop();
  console.log(`${what} ${s} s: live ${(back / 1000).toFixed(1)} s after, clock at most ${Math.max(0, off)} ms off`);
  assert.ok(back < promised(3000), `${what}: live after ${back} ms`);
  assert.ok(off < 250, `${what}: the clock was ${off} ms off`);
  assert.equal((await willow.state()).session.marks.length, marks, `${what}: what was tapped in the outage was done later`);
  await settled(page);
  await page.keyboard.press("Shift");
    await tapped(key("Note"));
  await eventually(`${what}: a tap after it is done`, async () => (await willow.state()).session.marks.length === marks + 1);
}

for (const s of [2, 8, 25, ...(long ? [120] : [])]) {
  test(`the link is down for ${s} s`, { timeout: 300_000 }, () =>
    outage("link down", s, () => inside(`link set ${id}b down`), () => inside(`link set ${id}b up`)));
}

test("the link is up and every packet is lost for 12 s", () => outage("all lost", 12, () => wrong(true), () => wrong(false)));

test("the tablet gets another address", async () => {
  const clock = await watch();
  const marks = (await willow.state()).session.marks.length;
  inside(`addr del ${net}.2/24 dev ${id}b`);
  inside(`addr add ${net}.3/24 dev ${id}b`);
  const began = Date.now();
  // Some browsers notice by themselves, others after three seconds of silence: a tap that is done is the proof.
  await eventually("a tap is done", async () => {
    await page.keyboard.press("Shift");
    await tapped(key("Note"));
    await settled(page);
    return (await willow.state()).session.marks.length > marks;
  });
  const back = Date.now() - began;
  await page.waitForTimeout(1200);
  const off = await clock.stop();
  console.log(`another address: live ${(back / 1000).toFixed(1)} s after, clock at most ${Math.max(0, off)} ms off`);
  assert.ok(back < 8000, `live after ${back} ms`);
  assert.ok(off < 250, `the clock was ${off} ms off`);
});

test("a third of the time every packet is lost", async () => {
  const clock = await watch();
  const marks = (await willow.state()).session.marks.length;
  let sent = 0;
  const until = Date.now() + 15_000;
  let lost = false;
  // In bursts of 100 ms, as a busy wifi loses them; from a seed, so that each run is the same.
  let seed = 7;
  const random = () => ((seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647);
  while (Date.now() < until) {
    const next = random() < 0.3;
    if (next !== lost) {
      // The address may be .3 by now.
      const mac = "lladdr 02:00:00:00:00:99 nud permanent";
      if (next) inside(`neigh replace ${net}.1 dev ${id}b ${mac}`);
      else inside(`neigh del ${net}.1 dev ${id}b`);
    }
    lost = next;
    await new Promise((ok) => setTimeout(ok, 100));
    if (random() < 0.08) {
      await page.keyboard.press("Shift");
      await tapped(key("Note"));
      sent++;
    }
  }
  if (lost) inside(`neigh del ${net}.1 dev ${id}b`);
  await page.locator(".state", { hasText: "No sound output" }).waitFor({ timeout: promised(5000) });
  await page.waitForTimeout(4000);
  const off = await clock.stop();
  const now = (await willow.state()).session.marks;
  console.log(`30 % lost: clock at most ${Math.max(0, off)} ms off, ${now.length - marks} of ${sent} taps done`);
  assert.ok(off < 250, `the clock was ${off} ms off`);
  assert.equal(new Set(now.map((m) => m.id)).size, now.length);
  assert.ok(now.length - marks <= sent, "a tap was done twice");
});
