// What a person in the dark needs of the page, beyond what every screen has to be (scenes.test.js).
import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { after, test } from "node:test";
import { scenes, session, snapshot } from "./scenes.js";
import { settled, tapped } from "./settled.js";
import { close, show, tablet } from "./tablet.js";

after(close);

const min = 60_000;
const dist = new URL("../ui/dist/", import.meta.url);
const words = Object.fromEntries(await Promise.all(["en", "de"].map(async (l) => [l, JSON.parse(await readFile(new URL(`../ui/src/locales/${l}.json`, import.meta.url), "utf8"))])));
const key = (page, label) => page.locator(".key", { has: page.locator(".label", { hasText: new RegExp(`^${label}$`, "i") }) }).first();
const sent = (line) => line.commands.map((c) => c.do + (c.name ?? c.by ?? c.db ?? ""));

test("rows that nobody has touched for 20 s sleep; the touch that wakes them does nothing else, and the strip always acts", async () => {
  const { page, context, faults } = await tablet();
  const line = await show(page, scenes.journey.snap());
  assert.equal(await page.locator(".asleep").count(), 0);
  await page.locator(".asleep").waitFor();
  await key(page, "\\+5 min").tap();
  assert.equal(await page.locator(".asleep").count(), 0);
  await page.waitForTimeout(600);
  assert.deepEqual(line.commands, []);
  await key(page, "\\+5 min").tap();
  assert.deepEqual(sent(line), ["extend5m"]);
  await page.locator(".asleep").waitFor();
  await key(page, "Soften").tap();
  assert.deepEqual(sent(line), ["extend5m", "soften"]);
  assert.deepEqual(faults, []);
  await context.close();
});

for (const [language, w] of Object.entries(words)) {
  for (const [width, height] of [[360, 740], [390, 844]]) {
    test(`on a phone of ${width}×${height} in ${language} the clock and the three keys for trouble stay, and nothing goes off sideways`, async () => {
      const { page, context } = await tablet({ size: [width, height], locale: language });
      await show(page, scenes.held.snap());
      for (const end of ["top", "bottom"]) {
        await page.evaluate((e) => scrollTo(0, e === "top" ? 0 : document.scrollingElement.scrollHeight), end);
        await page.waitForTimeout(100);
        for (const what of [page.locator(".elapsed"), ...[w.key.soften, w.key.care, w.key.emergency].map((l) => key(page, l))]) {
          const r = await what.boundingBox();
          assert.ok(r.x >= 0 && r.y >= -1 && r.x + r.width <= width && r.y + r.height <= height, `${end}: ${await what.innerText()} is at ${JSON.stringify(r)}`);
          const hit = await what.evaluate((e) => { const b = e.getBoundingClientRect(); return e.contains(document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2)); });
          assert.ok(hit, `${end}: something lies over ${await what.innerText()}`);
        }
      }
      assert.ok(await page.evaluate(() => document.scrollingElement.scrollWidth <= innerWidth));
      await context.close();
    });
  }
}

test("43 playlists: the last one used first, a search, and those with faults in one row that opens the desk", async () => {
  const { page, context } = await tablet();
  await page.addInitScript(() => localStorage.setItem("recent", '["p40","p5"]'));
  await show(page, scenes.many.snap(), scenes.many.plant);
  const names = () => page.locator(".cards .row .name").allInnerTexts();
  assert.deepEqual((await names()).slice(0, 3), ["Evening 40", "Evening 5", "Evening 0"]);
  assert.equal(await page.locator(".cards .row[aria-pressed=true] .name").innerText(), "Evening 40");
  for (const r of await page.locator(".cards .row").all()) assert.ok((await r.boundingBox()).height >= 64);
  await page.getByRole("searchbox").fill("ning 3");
  assert.deepEqual((await names()).sort(), ["Evening 30", "Evening 32", "Evening 33", "Evening 34", "Evening 35", "Evening 36", "Evening 37", "Evening 39"].sort());
  await tapped(page.getByText("6 playlists need attention"));
  await page.locator(".picture").waitFor();
  await context.close();
});

test("without sound, Start is a press, and the page says what to do", async () => {
  const { page, context } = await tablet();
  const line = await show(page, snapshot(null, scenes["no-sound"].snap()));
  const broken = { ...snapshot(null), sound: { output: "USB Audio DAC", state: "lost", underruns: 0, reopened: 0, latency_ms: 0 } };
  await context.close();
  const t = await tablet();
  const l = await show(t.page, broken);
  assert.match(await t.page.locator(".verdict").innerText(), /Not ready[^]*Plug the sound device in/);
  await key(t.page, "Start without sound").tap();
  await t.page.waitForTimeout(300);
  assert.deepEqual([line.commands, l.commands], [[], []]);
  await t.context.close();
});

test("every phase has its name on the picture, and the lozenge is never the mark that loses it", async () => {
  const { page, context } = await tablet();
  for (const name of ["journey", "early"]) {
    const snap = scenes[name].snap();
    await page.unrouteAll();
    await show(page, snap);
    for (const [width, height] of [[768, 1024], [1024, 768], [1180, 820]]) {
      await page.setViewportSize({ width, height });
      await page.waitForTimeout(150);
      const shown = await page.locator(".arc .name").allInnerTexts();
      const phases = snap.session.phases.map((p) => p.name).filter((n) => name !== "early" || !["Arrival", "Intention"].includes(n));
      for (const p of phases) assert.ok(shown.includes(p), `${name} ${width}: ${p} is not in ${shown}`);
      assert.equal(await page.locator(".arc .tick.mark", { hasText: "Lozenge" }).count(), 1);
      const boxes = await Promise.all((await page.locator(".arc .name, .arc .tick:not(.bare)").all()).map((e) => e.boundingBox()));
      boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => {
        const over = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x) > 3 && Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y) > 6;
        assert.ok(!over, `${name} ${width}×${height}: one name lies on another`);
      }));
    }
  }
  await context.close();
});

test("the headline is the true state", async () => {
  const at = (more, room) => snapshot(session(84 * min, more), room);
  const { page, context } = await tablet();
  for (const [snap, want] of [
    [at({}), "Journey · as planned"], [at({ ends_at_ms: 185 * min }), "Journey · 5 min later than planned"], [at({ softened: true }), "Softened"],
    [at({ silent: true, care: true }), "Silent · Care light"], [at({ returning: true }), "Returning early"], [at({ state: "ending" }), "Ending"],
    [scenes["no-sound"].snap(), /^No sound · USB Audio DAC not there · 0:4\d$/],
  ]) {
    await page.unrouteAll();
    await show(page, snap);
    const got = await page.locator(".state").innerText();
    assert.ok(want instanceof RegExp ? want.test(got) : got === want, `${got}, not ${want}`);
  }
  await context.close();
});

test("a keyboard has a key for every act, and ? lists them", async () => {
  const { page, context, faults } = await tablet();
  const held = scenes.held.snap();
  const line = await show(page, held);
  const press = async (k, ...more) => {
    for (const x of [k, ...more]) {
      await page.keyboard.press(x);
      await settled(page);
    }
  };
  await press("+");
  await press("-");
  await press("ArrowDown");
  await press("ArrowUp");
  await press("m");
  await press("o");
  await press("s");
  await press("c");
  await press("u");
  await press("h");
  assert.deepEqual(sent(line), ["extend5m", "extend-5m", "level-3", "level3", "silence", "skip", "soften", "care", "undo", "release"]);
  line.commands.length = 0;
  await press("e"); // asked
  assert.deepEqual(line.commands, []);
  await press("Escape");
  await press("e", "e");
  await press("n", "n");
  await press("r", "r");
  await press("d", "d");
  await press("2");
  await press("x");
  await page.getByText("End the session?").waitFor();
  await press("Escape");
  assert.deepEqual(sent(line), ["emergency", "next", "bring-back", "markLozenge", "markSwallow"]);
  const without = await page.locator(".rows .key, section.strip .key, .undo .key").evaluateAll((all) => all.filter((k) => !k.ariaKeyShortcuts && !k.getAttribute("aria-keyshortcuts")).map((k) => k.innerText));
  assert.deepEqual(without, []);
  await page.keyboard.press("?");
  const list = await page.locator(".list").innerText();
  for (const what of ["Emergency", "Soften", "Care light", "Move on", "Return early", "Softer", "Louder", "Undo", "Timer", "Continue", "Black"]) assert.ok(list.includes(what), `${what} is not in the list`);
  assert.deepEqual(faults, []);
  await context.close();
});

test("what a session needs is at most 60 KB of JavaScript, and one font", async () => {
  const { page, context } = await tablet();
  const got = new Set();
  page.on("request", (r) => got.add(new URL(r.url()).pathname));
  await show(page, scenes.journey.snap());
  await page.waitForTimeout(500);
  let js = 0;
  for (const path of got) if (path.endsWith(".js") && path !== "/sw.js") js += (await stat(new URL("." + path + ".gz", dist))).size;
  const fonts = [...got].filter((p) => p.endsWith(".woff2"));
  assert.equal(fonts.length, 1, String(fonts));
  const { size } = await stat(new URL("." + fonts[0], dist));
  console.log(`JavaScript of a session: ${js} bytes gzipped; its font: ${size}`);
  assert.ok(js > 20_000 && js <= 60_000, `${js} bytes`);
  assert.ok(size <= 50_000, `${size} bytes`);
  await context.close();
});
