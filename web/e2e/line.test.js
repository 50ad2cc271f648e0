// What a tablet shows and does when the room, its network or its other tablets do something else.
import assert from "node:assert/strict";
import { after, afterEach, beforeEach, test } from "node:test";
import { light } from "./png.js";
import { eventually, promised, room } from "./room.js";
import { flipping, settled, tapped } from "./settled.js";
import { close, tablet } from "./tablet.js";

let willow;
beforeEach(async () => (willow = await room()));
afterEach(() => willow.close());
after(close);

const key = (page, label) => page.locator(".key", { has: page.getByText(label, { exact: true }) });
const seconds = (t) => t.split(":").reduce((s, n) => s * 60 + Number(n), 0);

async function sign(page, url = willow.url) {
  await page.goto(url + (await willow.pair()).link);
  await page.locator("header h1").waitFor();
  await settled(page);
}

/** running is a tablet that shows a session. */
async function running(more) {
  await willow.command({ do: "start", playlist: "short" }).catch(() => {});
  const t = await tablet(more);
  await sign(t.page);
  await t.page.locator(".elapsed").waitFor();
  await settled(t.page); // from then on taps count
  return t;
}

test("killed in mid-session, the room comes back and the page with it; what was tapped meanwhile is never done", async () => {
  const { page, context, faults } = await running();
  await tapped(key(page, "Note"));
  await eventually("the mark is there", async () => (await willow.state()).session.marks.length === 1);
  const started = Date.now() - (await willow.state()).session.elapsed_ms;
  await willow.kill();
  await page.getByText("Last known").waitFor({ timeout: promised(5000) });
  const at = seconds(await page.locator(".elapsed").innerText());
  await tapped(key(page, "Vitals"));
  await page.getByText("Vitals: not sent").first().waitFor();
  assert.match(await key(page, "Vitals").innerText(), /not sent/);
  await page.waitForTimeout(1500);
  assert.ok(seconds(await page.locator(".elapsed").innerText()) > at, "the clock counts on");
  assert.ok(light(await page.screenshot()).y <= 1.5);
  await willow.start();
  await page.locator(".state", { hasText: "No sound output" }).waitFor({ timeout: promised(4000) });
  const { session } = await willow.state();
  assert.ok(Math.abs(Date.now() - started - session.elapsed_ms) < 1000, "the room's clock went on");
  await eventually("the page's clock is the room's", async () => Math.abs(seconds(await page.locator(".elapsed").innerText()) - (await willow.state()).session.elapsed_ms / 1000) < 1.5);
  await page.waitForTimeout(1000);
  assert.deepEqual((await willow.state()).session.marks.map((m) => m.name), ["Note"]);
  assert.deepEqual(faults, []);
  await context.close();
});

test("a room that freezes with its sockets open is stale within 5 s, and back within 3 s", async () => {
  const { page, context } = await running();
  willow.signal("SIGSTOP");
  const began = Date.now();
  await page.getByText("Last known").waitFor({ timeout: promised(5000) });
  const noticed = Date.now() - began;
  assert.ok(noticed < promised(5000), `${noticed} ms`);
  assert.equal(await page.getByRole("alert").innerText().then((t) => t.includes("Connection to the room lost")), true);
  await tapped(key(page, "Stay here"));
  await page.getByText("Stay here: not sent").first().waitFor();
  await page.waitForTimeout(2000);
  willow.signal("SIGCONT");
  const thawed = Date.now();
  await page.locator(".state", { hasText: "No sound output" }).waitFor({ timeout: promised(3000) });
  assert.ok(Date.now() - thawed < promised(3000));
  await page.waitForTimeout(1000);
  assert.equal((await willow.state()).session.phase.held, false);
  await context.close();
});

test("two tablets flip within 100 ms, and see what the other does", async () => {
  const a = await running(), b = await running({ size: [768, 1024] });
  const flips = async ({ page }) => Object.fromEntries((await page.evaluate(flipping)).flips.map(([at, shown]) => [shown, at]));
  const [fa, fb] = await Promise.all([flips(a), flips(b)]);
  const both = Object.keys(fa).filter((k) => k in fb);
  assert.ok(both.length >= 3);
  const apart = both.map((k) => Math.abs(fa[k] - fb[k])).sort((x, y) => x - y);
  assert.ok(apart[apart.length >> 1] < 100, apart.join(" "));
  await tapped(key(a.page, "+5 min"));
  await b.page.locator(".ends", { hasText: "(+5 min)" }).waitFor({ timeout: promised(1000) });
  await a.context.close();
  await b.context.close();
});

test("a tablet that was removed is sent to the sign-in page", async () => {
  const { page, context } = await running();
  await willow.revoke("Linux");
  await page.getByText("does not belong to the room").waitFor();
  assert.ok(light(await page.screenshot()).y <= 1.5);
  await context.close();
});

test("before a session a lamp can be tested, one that is drawn by the page can't", async () => {
  await willow.close();
  willow = await room(undefined, "room: Willow\naudio: {output: none}\nlights:\n  ambient: {driver: wled, topic: wled/shelf}\n  accent: {driver: simulated}\n");
  const { page, context, faults } = await tablet();
  await sign(page);
  await tapped(key(page, "Try the room"));
  await settled(page);
  assert.equal(await key(page, "Test Small light").count(), 0);
  await tapped(key(page, "Test Room light"));
  await tapped(key(page, "Details"));
  await page.locator(".ready").getByText("does not answer").first().waitFor();
  await eventually("the test is over", async () => /^Test/.test((await willow.state()).lights.ambient.test) && !/^Testing/.test((await willow.state()).lights.ambient.test));
  assert.match((await willow.state()).lights.ambient.details, /wled\/shelf/);
  await willow.command({ do: "start", playlist: "short" });
  const refused = await willow.command({ do: "test-lights", role: "ambient" }).catch((e) => String(e));
  assert.match(String(refused), /no session is running/);
  assert.deepEqual(faults, []);
  await context.close();
});

test("by keyboard alone: choose, start, mark, hold, end", async () => {
  const { page, context } = await tablet();
  await sign(page);
  await page.locator(".cards .row").first().waitFor();
  const to = async (name) => {
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((n) => document.activeElement?.matches("button") && document.activeElement.textContent.trim().startsWith(n), name)) return settled(page);
    }
    throw new Error(`${name} can't be reached by Tab`);
  };
  await to("Short");
  await page.keyboard.press("Enter");
  await to("Start without sound");
  await page.keyboard.press("Enter");
  await to("Yes, start without sound");
  await page.keyboard.press("Enter");
  await page.locator(".elapsed").waitFor();
  await to("Vitals");
  const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(ring, "solid");
  await page.keyboard.press("Space");
  await page.getByRole("status").filter({ hasText: "Vitals marked." }).waitFor();
  await to("Stay here");
  await page.keyboard.press("Space");
  await page.getByRole("status").filter({ hasText: "Staying here." }).waitFor();
  await to("More …");
  await page.keyboard.press("Enter");
  await to("End …");
  await page.keyboard.press("Enter");
  await page.getByRole("group", { name: "End the session?" }).waitFor();
  await to("End the session");
  await page.keyboard.press("Enter");
  await to("Yes, end the session");
  await page.keyboard.press("Enter");
  await page.getByRole("status").filter({ hasText: "Ending." }).waitFor();
  assert.equal((await willow.state()).session.state, "ending");
  await context.close();
});

test("what is said to who listens: nothing each second, and each change once", async () => {
  const { page, context } = await running();
  await page.evaluate(() => {
    globalThis.said = [];
    for (const e of document.querySelectorAll("[role=status], [role=alert]"))
      new MutationObserver(() => e.textContent.trim() && globalThis.said.push(e.textContent.trim())).observe(e, { subtree: true, characterData: true, childList: true });
  });
  await willow.command({ do: "hold" });
  await page.waitForTimeout(2500);
  await willow.command({ do: "release" });
  await page.waitForTimeout(300);
  await willow.command({ do: "next" });
  await page.waitForTimeout(300);
  await willow.command({ do: "mark", name: "Lozenge" });
  await page.waitForTimeout(4000);
  assert.deepEqual(await page.evaluate(() => globalThis.said), ["Staying here.", "Running as planned.", "Now Intention.", "Now Journey.", "Reminder: Spit or swallow."]);
  await context.close();
});
