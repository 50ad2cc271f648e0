// What the session's rules ask of the page: an early lozenge, a second dose, timers, and the last phase.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, room } from "./room.js";
import { settled, tapped } from "./settled.js";
import { close, tablet } from "./tablet.js";

const playlist = `name: Rules
keep: lengths
phases:
  - {name: Arrival, stage: preparation, length: 10m, music: [{bed: rain}, {bed: ocean}], marks: [Vitals]}
  - {name: Intention, stage: preparation, length: 5m, until: Lozenge, music: drone, marks: [Lozenge]}
  - {name: Journey, stage: administration, length: 8m, music: ocean}
  - {name: Leaving, stage: integration, length: 6s, music: rain}
remind:
  - {after: Lozenge, in: 7m, say: Spit or swallow, marks: [Swallow]}
`;

let willow;
before(async () => (willow = await room({ "rules.yaml": playlist })));
after(async () => {
  await close();
  await willow.close();
});

const key = (page, label) => page.locator(".key", { has: page.getByText(label, { exact: true }) }).first();
const session = async () => (await willow.state()).session;

/** click taps a control, a while after the last tap. */
async function click(page, label) {
  await tapped(key(page, label));
}

async function hold(page, label, ms) {
  await settled(page);
  const cdp = await page.context().newCDPSession(page);
  const box = await key(page, label).boundingBox();
  const at = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  await cdp.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [at] });
  await page.waitForTimeout(ms);
  await cdp.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  await cdp.detach();
}

test("the session's rules at the tablet", async () => {
  const { page, context, faults } = await tablet();
  await page.goto(willow.url + (await willow.pair()).link);
  await tapped(page.locator(".row", { hasText: "Rules" }));
  await hold(page, "Start without sound", 1500);
  await page.locator(".elapsed").waitFor();
  const clip = (await session()).music.clip;

  // The lozenge before the phase that waits for it: the page asks once, and undo brings back what played.
  await click(page, "Lozenge");
  await page.getByText("Lozenge before Intention: begin now?").waitFor();
  assert.equal((await session()).marks.length, 0);
  await click(page, "Begin Journey now");
  await page.locator(".phase .name", { hasText: "Journey" }).waitFor();
  assert.deepEqual((await session()).phases.map((p) => p.name), ["Arrival", "Journey", "Leaving"]);
  await click(page, "Undo");
  await page.locator(".phase .name", { hasText: "Arrival" }).waitFor();
  assert.equal((await session()).music.clip, clip);
  await click(page, "Lozenge");
  await click(page, "Only note it");
  await page.locator(".time .cap", { hasText: "Since Lozenge" }).waitFor();
  assert.equal((await session()).phase.name, "Arrival");
  assert.equal((await session()).phases[1].waiting, "Lozenge");
  const first = (await session()).marks[0].at_ms;

  // A thumb on the lozenge again moves nothing; a press is a second dose beside it.
  await tapped(key(page, "Second dose"));
  await page.getByText("keep your finger on it").waitFor();
  assert.equal((await session()).marks.length, 1);
  await hold(page, "Second dose", 1500);
  await eventually("a second dose", async () => (await session()).marks.length === 2);
  const marks = (await session()).marks;
  assert.deepEqual([marks[0].at_ms, marks[0].second ?? false, marks[1].second], [first, false, true]);

  // A timer is a line that waits.
  await click(page, "More …");
  await click(page, "Timer");
  await click(page, "Vitals");
  await click(page, "5 min");
  await page.locator(".remind", { hasText: /Vitals\s*in 4:5/ }).waitFor();
  await click(page, "Stop");
  await page.locator(".remind", { hasText: "in 4:5" }).waitFor({ state: "detached" });

  // A phase that waits: Next says what it leaves out; hold and let go leave it waiting.
  await hold(page, "Move on", 1500);
  await page.locator(".phase .name", { hasText: "Intention" }).waitFor();
  await page.locator(".state", { hasText: "Waiting for Lozenge" }).waitFor();
  await click(page, "Stay here");
  await page.locator(".state", { hasText: "Staying here" }).waitFor();
  await eventually("it is held", async () => (await session()).phase.held);
  await page.waitForTimeout(1000);
  await click(page, "Continue");
  await eventually("it waits again", async () => !(await session()).phase.held && (await session()).phase.waiting === "Lozenge");
  await hold(page, "Move on", 1500);
  await page.locator(".phase .name", { hasText: "Journey" }).waitFor();

  // The last phase, held past its end: the page says when the session would end, and it can be undone.
  await hold(page, "Move on", 1500);
  await page.locator(".phase .name", { hasText: "Leaving" }).waitFor();
  await click(page, "Stay here");
  await eventually("its planned end is past", async () => (await session()).phase.end_ms > 0 && (await session()).elapsed_ms > (await session()).phase.start_ms + 7000);
  await page.locator(".left", { hasText: /0:[12]\d left after Continue/ }).waitFor();
  await click(page, "Continue");
  await eventually("it is let go", async () => !(await session()).phase.held);
  const s = await session();
  assert.equal(s.state, "running");
  assert.ok(s.ends_at_ms - s.elapsed_ms > 15_000 && s.ends_at_ms - s.elapsed_ms <= 20_000, `${s.ends_at_ms} ${s.elapsed_ms}`);
  await click(page, "Undo");
  await eventually("it is held again", async () => (await session()).phase.held);

  // In an emergency only Resume leads back.
  await hold(page, "Emergency", 1500);
  await eventually("emergency", async () => (await session()).emergency);
  await page.locator("main.emergency").waitFor();
  assert.equal(await key(page, "Care light").count(), 0);
  await hold(page, "Bring the session back", 1500);
  await eventually("no emergency", async () => !(await session()).emergency);
  assert.deepEqual(faults, []);
  await context.close();
});
