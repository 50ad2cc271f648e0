// Names come from everywhere: lamps and their switches, Home Assistant, tags of files, playlists of other people, a browser that
// calls itself something. On no page is any of them more than text.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { readFile } from "node:fs/promises";
import { scenes } from "./scenes.js";
import { close, lent, show } from "./tablet.js";

after(close);

const en = {};
for (const at of ["desk/locales", "locales"]) {
  for (const [group, texts] of Object.entries(JSON.parse(await readFile(new URL(`../ui/src/${at}/en.json`, import.meta.url), "utf8")))) en[group] = { ...en[group], ...texts };
}

const markup = `<b data-planted>{{a}}$t(key.end)`; // short: it has to fit where names do

// What is a name or a sentence of the room's, and no word of the protocol.
const texts = new Set(["name", "title", "artist", "next", "says", "do", "why", "about", "text", "room", "say", "reason", "problem", "source", "write", "last", "of", "version", "zero", "ending", "file", "stick", "output", "diff", "description"]);
const lists = new Set(["marks", "scenes", "offer", "errors", "warnings", "left_out", "lines"]);

/** planted is what the room sends, with markup behind every name and sentence of it. */
function planted(v, key = "", beside = {}) {
  if (typeof v === "string") {
    // A command's verb, a mark's id, a time of the schedule, the kind of a set-up's sound.
    const word = (key === "do" && !("says" in beside || "why" in beside || "at" in beside)) || key === "of" || (key === "next" && "at" in beside) || (key === "output" && "devices" in beside);
    return (texts.has(key) && !word) || lists.has(key) ? v + markup : v;
  }
  if (Array.isArray(v)) return v.map((x) => (typeof x === "string" && key === "log" ? x + markup : planted(x, typeof x === "string" ? key : "", v)));
  if (v && typeof v === "object") {
    return Object.fromEntries(Object.entries(v).map(([k, x]) => [key === "lights" && !("offers" in v) ? k + markup : k, planted(x, k, v)]));
  }
  return v;
}
/** watching keeps what was ever taken for more than text. Runs in the page. */
function watching() {
  globalThis.interpreted = [];
  new MutationObserver((all) => {
    for (const m of all) for (const n of m.addedNodes) if (n.nodeType === 1 && (n.matches("[data-planted]") || n.querySelector("[data-planted]"))) globalThis.interpreted.push(n.outerHTML);
  }).observe(document, { subtree: true, childList: true });
}

const plant = (sent) => (Array.isArray(sent) && typeof sent[0] === "string" ? planted(sent, "log") : planted(sent));

for (const [name, { snap, then, plant: made = (sent) => sent }] of Object.entries(scenes)) {
  if (["connecting", "stale", "pair", "pair-sheet", "trust", "room-join"].includes(name)) continue; // they show nothing of the room's
  test(`${name}: what the room sends is text`, async (t) => {
    const { page, faults, used } = await lent(t);
    if (!used) await page.addInitScript(watching);
    const line = await show(page, snap(), (sent) => plant(made(sent)));
    await then?.(page, line, en);
    await page.waitForTimeout(200);
    const seen = await page.evaluate(() => ({
      interpreted: globalThis.interpreted, there: document.querySelectorAll("[data-planted]").length,
      shown: (document.body.textContent.match(/<b data-planted>/g) ?? []).length, whole: document.body.textContent.includes("{{a}}$t(key.end)"),
    }));
    assert.deepEqual(seen.interpreted, []);
    assert.equal(seen.there, 0);
    assert.ok(seen.shown > 0, "nothing was planted on this page");
    assert.ok(seen.whole, "braces or $t() of a name were taken for the page's own");
    assert.deepEqual(faults, []);
  });
}
