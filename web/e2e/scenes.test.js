// Every screen at every size, on tablets and phones: dark enough, nothing scrolls, nothing is cut off, and fit for a thumb.
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { light } from "./png.js";
import { scenes } from "./scenes.js";
import { resize, settled, speak, tapped } from "./settled.js";
import { close, lent, palettes, pictures, show, sizes, tablet } from "./tablet.js";

const shots = new URL("./shots/", import.meta.url);
before(() => mkdir(shots, { recursive: true }));
after(close);

const axe = await readFile(new URL("./node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

const words = {};
for (const l of ["en", "de", "fr", "es", "nl"]) {
  const [w, desk] = await Promise.all(["locales", "desk/locales"].map(async (at) => JSON.parse(await readFile(new URL(`../ui/src/${at}/${l}.json`, import.meta.url), "utf8"))));
  words[l] = Object.fromEntries(Object.keys({ ...w, ...desk }).map((g) => [g, { ...w[g], ...desk[g] }]));
}
const { en, ...others } = words;
const phones = [[360, 740], [390, 844]];

/** unfit is what is wrong with the layout, in words. Runs in the page. */
function unfit() {
  const out = [];
  const page = document.scrollingElement;
  if (page.scrollHeight > innerHeight || page.scrollWidth > innerWidth) out.push(`the page scrolls: ${page.scrollWidth}×${page.scrollHeight}`);
  const main = document.querySelector("main");
  if (main.scrollHeight > main.clientHeight || main.scrollWidth > main.clientWidth) out.push(`main is cut off: ${main.scrollWidth}×${main.scrollHeight}`);
  const text = (e) => e.innerText.replace(/\s+/g, " ").trim();
  for (const e of document.querySelectorAll(".key, .elapsed, .second, .name, .left, .state, .says")) {
    if (e.closest(".arc, .cards, .scrolls, .row, .table")) continue;
    if (e.scrollHeight > e.clientHeight + 1 && getComputedStyle(e).overflow !== "visible") out.push(`“${text(e)}” does not fit in ${e.clientWidth}×${e.clientHeight}`);
    const r = e.getBoundingClientRect();
    if (e.closest(".scrolls")) continue;
    if (r.left < 0 || r.top < 0 || r.right > innerWidth || r.bottom > innerHeight) out.push(`“${text(e)}” is off the screen`);
  }
  for (const e of document.querySelectorAll(".key .label, .key .sub")) {
    if (!e.checkVisibility()) continue; // in closed details
    const key = e.closest(".key").getBoundingClientRect(), r = e.getBoundingClientRect();
    if (e.scrollWidth > e.clientWidth + 1 || r.left < key.left || r.right > key.right || r.top < key.top || r.bottom > key.bottom) out.push(`“${text(e)}” is wider or higher than its key`);
  }
  for (const e of document.querySelectorAll(".key")) {
    const label = e.querySelector(".label"), sub = e.querySelector(".sub");
    for (const part of [label, sub]) {
      if (part && part.offsetHeight > 2.5 * parseFloat(getComputedStyle(part).lineHeight)) out.push(`“${text(part)}” has more than two lines: ${part.offsetWidth}×${part.offsetHeight} in ${getComputedStyle(part).font}`);
    }
    if (sub && sub.getBoundingClientRect().top < label.getBoundingClientRect().bottom - 1) out.push(`“${text(sub)}” lies on “${text(label)}”`);
  }
  for (const e of document.querySelectorAll(".table")) {
    if (e.scrollWidth > e.clientWidth) out.push(`the table “${e.querySelector("h2").innerText}” is cut off`);
  }
  const shown = (e) => {
    if (e.matches(".sr")) return false;
    if (document.querySelector(".panel") && !e.closest(".panel")) return false; // which lies over the rest
    const r = e.getBoundingClientRect(), bar = e.closest(".save") ? null : document.querySelector(".save")?.getBoundingClientRect(); // which stays at the end of what scrolls
    for (let list = e.closest(".cards, .scrolls"); list; list = list.parentElement.closest(".cards, .scrolls")) {
      const l = list.getBoundingClientRect(), end = bar && list.querySelector(".save") ? Math.min(l.bottom, bar.top) : l.bottom;
      if (r.top < l.top - 1 || r.bottom > end + 1 || r.right > l.right + 1) return false;
    }
    return true;
  };
  const keys = [...document.querySelectorAll("button")].filter(shown).map((e) => [text(e), e.getBoundingClientRect()]);
  keys.forEach(([name, a], i) => {
    if (a.width < 56 || a.height < 56) out.push(`“${name}” is ${a.width}×${a.height}`);
    for (const [other, b] of keys.slice(i + 1)) {
      const dx = Math.max(a.left - b.right, b.left - a.right), dy = Math.max(a.top - b.bottom, b.top - a.bottom);
      if (Math.max(dx, dy) < 7.9) out.push(`“${name}” and “${other}” are ${Math.max(dx, dy)} apart`);
    }
  });
  // A session is read at arm's length in the dark.
  if (document.querySelector("section.strip")) {
    const walk = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
    for (let n = walk.nextNode(); n; n = walk.nextNode()) {
      const size = parseFloat(getComputedStyle(n.parentElement).fontSize);
      if (n.textContent.trim() && size < 20) out.push(`“${n.textContent.trim()}” is ${size} px`);
    }
    const px = (of) => Math.round(parseFloat(getComputedStyle(document.querySelector(of)).fontSize));
    const emergency = document.querySelector("main.emergency");
    for (const [of, size] of emergency ? [[".elapsed", 150]] : [[".elapsed", 150], [".left b", 72], [".phase .name", 48]]) if (px(of) !== size) out.push(`${of} is ${px(of)} px`);
    const strip = [...document.querySelectorAll("section.strip .key")].map((e) => [text(e), e.getBoundingClientRect()]);
    for (const [name, a] of strip) {
      if (a.height < 88) out.push(`“${name}” is ${a.height} high`);
      for (const [other, b] of [...keys.filter(([n]) => !strip.some(([s]) => s === n)), ...strip.filter(([n]) => n !== name)]) {
        const apart = Math.max(a.left - b.right, b.left - a.right, a.top - b.bottom, b.top - a.bottom);
        if (apart < 23.9) out.push(`“${name}” and “${other}” are ${apart} apart`);
      }
    }
  }
  // The edge of what can be tapped is 3:1 against its ground; what sleeps or can't be done is drawn back.
  const luminance = (rgb) => rgb.match(/\d+/g).slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((l, v, i) => l + v * [0.2126, 0.7152, 0.0722][i], 0);
  for (const e of document.querySelectorAll(".key:not([aria-disabled]), .row")) {
    if (e.closest(".asleep") || getComputedStyle(e).borderTopWidth === "0px") continue;
    const ratio = (luminance(getComputedStyle(e).borderTopColor) + 0.05) / 0.05;
    if (ratio < 3) out.push(`the edge of “${text(e)}” is ${ratio.toFixed(2)}:1`);
  }
  return out;
}

/** offPhone is what is wrong with the layout on a phone, in words: what runs off the side, and what is too small to read or to hit. Runs in
 * the page. */
function offPhone() {
  const out = [];
  for (const e of [document.scrollingElement, document.querySelector("main"), ...document.querySelectorAll(".scrolls")])
    if (e.scrollWidth > Math.min(e.clientWidth, innerWidth) + 1) out.push(`${e.tagName}.${e.className} is ${e.scrollWidth} wide in ${e.clientWidth}`);
  const seen = (e) => e.getClientRects().length && !e.closest(".sr, [aria-hidden], .picture, .arc");
  for (const e of document.querySelectorAll("main :is(button, a, input, select, textarea, summary)")) {
    const r = e.getBoundingClientRect();
    if (!seen(e) || r.width === 0 || e.classList.contains("sr")) continue;
    const name = (e.getAttribute("aria-label") ?? e.innerText).replace(/\s+/g, " ").trim();
    if (r.left < 0 || r.right > innerWidth + 1) out.push(`“${name}” is off the screen`);
    if (r.width < 55.5 || r.height < 55.5) out.push(`“${name}” is ${r.width}×${r.height}`);
  }
  const texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  for (let n = texts.nextNode(); n; n = texts.nextNode()) {
    const e = n.parentElement, size = parseFloat(getComputedStyle(e).fontSize);
    if (n.data.trim() && seen(e) && size < (e.closest("pre, textarea, .log, svg") ? 16 : 20)) out.push(`“${n.data.trim().slice(0, 40)}” is ${size} px`);
  }
  return out;
}

// Two at a time, beside the other files: each waits for frames to be drawn.
describe("every screen", { concurrency: 2 }, () => {
  for (const [name, scene] of Object.entries(scenes)) test(`${name}: dark, whole, and fit for a thumb`, (t) => look(t, name, scene));
});

// Palettes differ in color only, and what is too long is so where it is narrowest: make bars and make pictures look at all.
const all = !!process.env.ROOMD_BARS || pictures;

async function look(t, name, scene) {
  const { page, faults } = await lent(t);
  const line = await show(page, scene.snap(), scene.plant);
  await scene.then?.(page, line, en);
  const shoot = async (of) => {
    const png = await page.screenshot();
    if (pictures) await writeFile(new URL(`${name}-${of}.png`, shots), png);
    return light(png);
  };
  for (const palette of all ? palettes : palettes.slice(0, 1)) {
    await page.evaluate((p) => (document.documentElement.dataset.palette = p), palette);
    for (const [width, height] of sizes) {
      await resize(page, width, height);
      assert.deepEqual(await page.evaluate(unfit), [], `${palette} ${width}×${height}`);
      if (!all && ![sizes[0], sizes[2]].some(([w]) => w === width)) continue; // one upright and one lying give as much light as all
      const { y, blue } = await shoot(`${palette}-${width}x${height}`);
      assert.ok(y <= 1.5, `${palette} ${width}×${height}: ${y.toFixed(2)} % of white`);
      if (palette !== "neutral") assert.ok(blue <= 0.1, `${palette} ${width}×${height}: ${blue.toFixed(2)} % blue`);
    }
    await page.evaluate(axe);
    const wrong = await page.evaluate(async () => (await globalThis.axe.run()).violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`));
    assert.deepEqual(wrong, [], palette);
  }
  await page.evaluate((p) => (document.documentElement.dataset.palette = p), palettes[0]);
  const wrong = [];
  for (const [language, own] of Object.entries({ en, ...others })) {
    if (language !== "en") {
      await speak(page, language);
      if (scene.then) await settled(page); // from then on taps count again
      await scene.then?.(page, line, own);
      for (const [width, height] of all ? sizes : sizes.slice(0, 2)) {
        await resize(page, width, height);
        if (pictures && width * height < 800_000) await shoot(`${language}-${width}x${height}`);
        wrong.push(...(await page.evaluate(unfit)).map((what) => `${language} ${width}×${height}: ${what}`));
      }
    }
    // On phones the longest words tell, which are German.
    if (language === "de" || (all && language === "en")) {
      for (const [width, height] of phones) {
        await resize(page, width, height);
        if (pictures) await shoot(`${language}-${width}x${height}`);
        wrong.push(...(await page.evaluate(offPhone)).map((what) => `${language} ${width}×${height}: ${what}`));
      }
      await resize(page, ...sizes[0]);
    }
  }
  assert.deepEqual(wrong, []);
  assert.deepEqual(faults, []);
}

test("a browser's own bars and text twice as large leave every control within reach", async () => {
  const { page, context } = await tablet();
  for (const name of ["steer", "steer-coming", "steer-long", "steer-menu", "held"]) {
    await show(page, scenes[name].snap());
    await scenes[name].then?.(page, null, en);
    for (const [width, height] of [[1024, 690], [768, 950]]) {
      await resize(page, width, height);
      assert.deepEqual(await page.evaluate(unfit), [], `${name} ${width}×${height}`);
    }
  }
  // 200 % zoom of 1024×768
  await page.setViewportSize({ width: 512, height: 384 });
  const lost = await page.evaluate(() => {
    const out = [];
    if (document.scrollingElement.scrollWidth > innerWidth) out.push("scrolls sideways");
    for (const e of document.querySelectorAll("button")) {
      e.scrollIntoView();
      const r = e.getBoundingClientRect();
      if (r.top < -1 || r.bottom > innerHeight + 1 || r.left < 0 || r.right > innerWidth) out.push(e.innerText);
    }
    return out;
  });
  assert.deepEqual(lost, []);
  await context.close();
});

test("the dimmer takes the light down to a fifth, and leaves what failed readable", async () => {
  const { page, context } = await tablet();
  const line = await show(page, scenes.journey.snap());
  const full = light(await page.screenshot()).y;
  await tapped(page.getByRole("button", { name: "Screen" }));
  await settled(page);
  for (let i = 0; i < 4; i++) {
    await tapped(page.getByRole("button", { name: "Dim", exact: true }));
    await settled(page);
  }
  const dim = page.getByRole("button", { name: "Dim", exact: true });
  assert.equal(await dim.getAttribute("aria-disabled"), "true");
  await page.keyboard.press("Escape");
  const least = light(await page.screenshot()).y;
  assert.ok(least > 0.1 * full && least < 0.4 * full, `${full.toFixed(2)} → ${least.toFixed(2)}`);
  line.mute();
  await page.getByText("No connection to the room").waitFor();
  const dimmed = await page.evaluate(() => {
    let o = 1;
    for (let e = document.querySelector(".trouble"); e; e = e.parentElement) o *= Number(getComputedStyle(e).opacity);
    return o;
  });
  assert.ok(dimmed > 0.75, `what failed is at ${dimmed}`);
  await context.close();
});

test("black is black, and the touch that wakes the screen does nothing else", async () => {
  const { page, context } = await tablet();
  const line = await show(page, scenes.journey.snap());
  const black = async () => {
    await tapped(page.getByRole("button", { name: "Screen" }));
    await tapped(page.locator(".key", { hasText: "Black" }));
    await settled(page);
  };
  await black();
  assert.equal(light(await page.screenshot()).y, 0);
  const next = await page.locator(".key", { hasText: "Soften" }).boundingBox();
  await page.touchscreen.tap(next.x + 20, next.y + 20);
  await page.touchscreen.tap(next.x + 20, next.y + 20); // bounces
  await page.waitForTimeout(500);
  assert.equal(await page.locator(".curtain").count(), 0);
  assert.deepEqual(line.commands, []);
  await black();
  await page.keyboard.press("Space");
  await page.waitForTimeout(100);
  assert.equal(await page.locator(".curtain").count(), 0);
  assert.deepEqual(line.commands, []);
  await context.close();
});

test("nothing on a screen at rest moves but the second", async () => {
  const { page, context } = await tablet({ reducedMotion: "no-preference" });
  await show(page, scenes.held.snap());
  await page.waitForTimeout(500);
  const moving = await page.evaluate(() => document.getAnimations().length);
  assert.equal(moving, 0);
  const changed = await page.evaluate(async () => {
    const seen = [];
    const o = new MutationObserver((list) => seen.push(performance.now(), ...list.map((m) => m.target.parentElement?.className ?? m.target.className)));
    o.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
    await new Promise((ok) => setTimeout(ok, 4000));
    return seen.filter((x) => typeof x === "number");
  });
  assert.ok(changed.length >= 3 && changed.length <= 10, `${changed.length} changes in 4 s`);
  await context.close();
});
