// How many keys stand on the screen of a session, state by state, and that none of its acts is lost by it.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { scenes, session, snapshot, steer } from "./scenes.js";
import { resize, settled, tapped } from "./settled.js";
import { close, show, tablet } from "./tablet.js";

after(close);

const min = 60_000;
const mark = (name, at_ms) => ({ id: name + at_ms, name, at_ms });
const given = [mark("Vitals", 12 * min), mark("Lozenge", 39 * min)];
const offer = ["Vitals", "Note"]; // as the playlists that come with roomd offer them
const at = (minutes, more, change) => snapshot(session(minutes * min, { offer, marks: given, ...more }, change));
const key = (page, label) => page.locator(".key", { has: page.getByText(label, { exact: true }) }).first();

const states = {
  "before the lozenge": [at(20, { marks: [] }), 16],
  "a phase that waits for the lozenge": [at(38, { marks: [], offer: ["Lozenge", ...offer] }, { Intention: { waiting: "Lozenge" } }), 16],
  "the journey": [at(84), 17],
  held: [at(84, {}, { Journey: { held: true } }), 17],
  softened: [at(84, { softened: true }), 17],
  "care light": [at(84, { care: true }), 17],
  silent: [at(84, { silent: true, music: null }), 16],
  "a pool": [at(84, { steer: steer() }), 20], // its four, for Other track
  "with something to undo and a reminder": [at(84, { undo: [{ id: "u", do: "extend", says: "", until_ms: 90 * min }], reminders: [{ say: "Vitals", due_ms: 80 * min, marks: ["Vitals"] }] }), 19],
  integration: [at(140), 15],
  emergency: [scenes.emergency.snap(), 5],
};

for (const [name, [snap, want]] of Object.entries(states)) {
  test(`keys, ${name}: ${want}`, async () => {
    const { page, context } = await tablet();
    await show(page, snap);
    const keys = (await page.locator("main .key:visible").allInnerTexts()).map((k) => k.replace(/\s+/g, " "));
    assert.equal(keys.length, want, keys.join(" | "));
    await context.close();
  });
}

test("what a phase does not offer is behind one key of the row, and keeps its key on the keyboard", async () => {
  const { page, context, faults } = await tablet();
  const line = await show(page, at(84));
  const row = () => page.locator(".marks .key .label").allInnerTexts();
  const first = ["Vitals", "Note", "Second dose", "More …"];
  assert.deepEqual(await row(), first);
  await page.keyboard.press("1");
  await settled(page);
  await page.keyboard.press("x");
  await page.getByText("End the session?").waitFor();
  await page.keyboard.press("Escape");
  await tapped(key(page, "More …"));
  await key(page, "Timer").waitFor();
  assert.deepEqual(await row(), ["Spit", "Swallow", "Timer", "Another playlist", "End …", "Back"]);
  await tapped(key(page, "Swallow"));
  assert.deepEqual(line.commands.map((c) => c.name), ["Spit", "Swallow"]);
  await page.evaluate(() => globalThis.untouched());
  await page.locator(".asleep").waitFor();
  assert.deepEqual(await row(), first);
  assert.deepEqual(faults, []);
  await context.close();
});

test("a finger that goes to where a mark was in the phase before finds it there", async () => {
  const { page, context } = await tablet();
  const middles = [];
  for (const offer of [["Spit", "Swallow", "Vitals", "Note"], ["Vitals", "Note"]]) {
    await page.unrouteAll();
    await show(page, at(84, { offer }));
    for (const [width, height] of [[1180, 820], [820, 1180], [768, 1024]]) {
      await resize(page, width, height);
      for (const name of ["Vitals", "Note"]) {
        const box = await key(page, name).boundingBox();
        const was = middles.find((m) => m.width === width && m.name === name);
        if (!was) middles.push({ width, name, x: box.x + box.width / 2 });
        else assert.ok(was.x > box.x + 8 && was.x < box.x + box.width - 8, `${name} at ${width}: its middle was at ${was.x}, and it is from ${box.x} to ${box.x + box.width}`);
      }
    }
  }
  assert.equal(middles.length, 6);
  await context.close();
});
