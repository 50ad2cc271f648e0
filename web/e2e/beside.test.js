// The screens beside a session, as rooms fill them: long lists, an emergency, many playlists, parts that fail.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { record, scenes, snapshot, session } from "./scenes.js";
import { settled, tapped } from "./settled.js";
import { close, show, tablet } from "./tablet.js";

after(close);
const min = 60_000;

async function at(snap, { size, plant, open, locale } = {}) {
  const t = await tablet({ ...(size ? { size } : {}), ...(locale ? { locale } : {}) });
  const line = await show(t.page, snap, plant);
  if (open) {
    await tapped(t.page.locator(".key", { has: t.page.getByText(open, { exact: true }) }).first());
    await t.page.locator("main.screen-page").waitFor();
    await settled(t.page);
  }
  return { ...t, line, end: async () => { assert.deepEqual(t.faults, []); await t.context.close(); } };
}
const ended = () => snapshot(session(174 * min, { state: "ended", ends_at_ms: 174 * min, music: null }));

test("a session's summary: its sum and the emergency first, every change in words, and nothing cut without a sign", async () => {
  const { page, end } = await at(ended());
  await page.getByText("2 h 54 min, 4 marks, 2 notes").waitFor();
  const changes = page.getByRole("region", { name: "Changes" });
  const rows = await changes.locator("tr").allInnerTexts();
  const did = record.events.filter((e) => e.kind === "command").length;
  assert.equal(rows.length, did + record.asked.length);
  for (const says of ["Stayed here · Arrival\t0:00:45", "5 min longer · Journey\t1:10:00", "Volume: a little softer · Journey\t1:41:00"]) assert.ok(rows.map((r) => r.trim()).includes(says), `${says} is not in ${rows.join("; ")}`);
  // The emergency stands above the lists.
  const alarm = await page.getByText("Emergency at 1:36:00").boundingBox();
  assert.ok(alarm.y + alarm.height < (await changes.boundingBox()).y);
  // Only the page itself scrolls, it says so, and its end can be reached.
  const cut = await page.evaluate(() => [...document.querySelectorAll("main *")].filter((e) => e.scrollHeight > e.clientHeight + 1 && /auto|scroll|hidden/.test(getComputedStyle(e).overflowY) && !e.closest(".key, .arc, .arcbox, .sr")).map((e) => e.className));
  assert.equal(cut.length, 1, cut.join());
  assert.match(cut[0], /scrolls/);
  await page.locator(".foot.more").waitFor();
  await page.getByRole("button", { name: "Erase now" }).scrollIntoViewIfNeeded();
  await page.locator("main .scrolls").evaluate((e) => e.scrollTo(0, e.scrollHeight));
  await page.locator(".foot:not(.more)").waitFor();
  await end();
});

test("sessions are told apart without a date", async () => {
  const { page, end } = await at(snapshot(null), { open: "Sessions" });
  const rows = await page.locator(".row").allInnerTexts();
  assert.deepEqual(rows.map((r) => r.split("\n")[0]), ["2 h 54 min · 14 marks, 2 notes · 1 minute ago", "2 h 30 min · 11 marks, 2 notes · yesterday", "41 min · 6 marks, 1 note · 3 days ago", "3 h · 1 mark · 9 days ago"]);
  assert.match(rows[1], /Evening, strings · It ended as planned\. Erases itself in 2[89] days\./);
  assert.doesNotMatch(rows.join(), /20\d\d|:\d\d/);
  await tapped(page.locator(".row").nth(1));
  await page.getByRole("button", { name: "Back to the list" }).waitFor();
  await end();
});

test("devices: what each may do, when it was last here, and the next one let in", async () => {
  const ago = (days) => new Date(Date.now() - days * 86_400_000).toLocaleDateString("sv");
  const { page, end } = await at(snapshot(null), {
    open: "Devices", plant: (sent) => (Array.isArray(sent) && sent[0]?.role ? [{ ...sent[0], connected: 0, last_used: ago(1) }, { ...sent[2], last_used: ago(0), ends: ago(-5) }] : sent),
  });
  await page.getByText("Runs sessions · last used yesterday").waitFor();
  await page.getByText("Only watches · last used today · ends in 5 days if it is not used").waitFor();
  await page.getByText("sudo -u roomd roomd pair").waitFor();
  await page.getByRole("button", { name: "Make it private" }).waitFor();
  await tapped(page.getByRole("button", { name: "Let another device in: Runs sessions" }));
  await page.getByText("482 913").waitFor();
  await page.getByText("For one device, for 4 min more.").waitFor();
  const modules = await page.locator("svg[role=img] path").nth(1).evaluate((e) => (e.getAttribute("d").match(/M/g) ?? []).length);
  assert.ok(modules > 150, `${modules} modules`);
  await end();
});

test("pairing shows the room's own command, or the short one where the room does not say", async () => {
  const { page, end } = await at("out");
  await page.getByText("sudo -u roomd roomd pair", { exact: true }).waitFor();
  await end();
  const old = await at("out", { plant: (sent) => (sent.command ? {} : sent) });
  await old.page.getByText("roomd pair", { exact: true }).waitFor();
  await old.end();
});

test("pairing names the sheet of the room's card first, until its code is used or over", async () => {
  for (const size of [[390, 844], [1024, 768]]) {
    let waits = true;
    const { page, end } = await at("out", { size, plant: (sent) => (sent.command ? { ...sent, sheet: waits } : sent) });
    const sheet = page.getByText("Type the six digits on the room’s printed sheet");
    await sheet.waitFor();
    const top = async (what) => (await what.boundingBox()).y;
    assert.ok((await top(sheet)) < (await top(page.getByText("No sheet?"))) && (await top(page.getByText("No sheet?"))) < (await top(page.getByText("sudo -u roomd roomd pair"))));
    await page.screenshot({ path: new URL(`shots/pair-sheet-${size.join("x")}.png`, import.meta.url).pathname });
    waits = false;
    await page.keyboard.type("123456");
    await page.getByText("This code is not valid").waitFor();
    await sheet.waitFor({ state: "detached" });
    await page.getByText("On the room’s computer, run this and type").waitFor();
    assert.equal(await page.getByText("No sheet?").count(), 0);
    await end();
  }
});

test("the room: what needs a person first, a schedule in words, and what only an engineer reads folded away", async () => {
  const { page, end } = await at(scenes.room.snap(), { open: "Room" });
  const first = await page.locator("main .scrolls li").first().innerText();
  assert.match(first, /Lights[\s\S]*does not answer[\s\S]*Is its switch on\?/);
  for (const says of ["Light: Dusk weekdays at 8:00", "Check sound and lights weekdays at 8:15", "Back up the room every day at 3:30"]) await page.getByText(says).waitFor();
  const technical = /S32_LE|MON-FRI|level=INFO|\* \*|ms\b/;
  assert.doesNotMatch(await page.locator("main").innerText(), technical);
  await tapped(page.getByText("Details"));
  for (const says of ["15 8 * * MON-FRI", "level=INFO"]) await page.getByText(says).first().waitFor();
  await tapped(page.getByRole("button", { name: "Check everything" }));
  await page.getByText("6 checks passed").waitFor();
  assert.equal(await page.getByText("S32_LE").isVisible(), false);
  await end();
});

test("many playlists: the ones that need attention first, and the rest found by a name", async () => {
  const plant = (sent) => (Array.isArray(sent) && sent[0]?.phases ? Array.from({ length: 43 }, (_, k) => ({ ...sent[0], id: "p" + k, name: `Evening ${k}`, errors: k % 7 === 3 ? ["evening.yaml:14:9: music: there is no file"] : [] })) : sent);
  const { page, end } = await at(snapshot(null), { open: "Music", plant });
  await page.locator(".list .row").nth(42).waitFor();
  assert.deepEqual(await page.locator(".list .row .name").evaluateAll((l) => l.slice(0, 8).map((e) => (e.querySelector(".icon") ? "!" : "") + e.innerText.replace(/\s+/g, ""))), ["!Evening3", "!Evening10", "!Evening17", "!Evening24", "!Evening31", "!Evening38", "Evening0", "Evening1"]);
  await page.getByRole("searchbox", { name: "Search playlists" }).fill("evening 2");
  assert.equal(await page.locator(".list .row").count(), 11);
  await page.getByRole("searchbox", { name: "Search playlists" }).fill("morning");
  await page.getByText("No playlist has that name.").waitFor();
  await end();
});

test("a long remark pushes nothing off the screen", async () => {
  const long = `/home/roomd/playlists/${"music-of-a-very-long-name-without-a-space-".repeat(8)}.flac`;
  const plant = (sent) => (sent.problems && sent.phases ? { ...sent, problems: [{ ...sent.problems[0], says: long, source: long, write: long }], phases: sent.phases.map((p) => ({ ...p, name: long.slice(0, 60), music: [{ was: 0, file: long, problem: long }] })) } : sent);
  for (const size of [[1180, 820], [768, 1024], [360, 740]]) {
    const { page, end } = await at(snapshot(null), { open: "Music", plant, size });
    await page.locator("li.phase").first().waitFor();
    const wide = await page.evaluate(() => [...document.querySelectorAll("main, .chosen, .chosen section, li.phase, .problems, .list")].filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => `${e.className}: ${e.scrollWidth} in ${e.clientWidth}`));
    assert.deepEqual(wide, [], size.join("×"));
    await end();
  }
});
