// A session on the real binary, from a tablet that does not belong to the room yet to its summary.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { light } from "./png.js";
import { eventually, promised, room } from "./room.js";
import { flipping, settled, tapped } from "./settled.js";
import { close, tablet } from "./tablet.js";

let willow;
before(async () => (willow = await room()));
after(async () => {
  await close();
  await willow.close();
});

const text = async (locator) => (await locator.innerText()).replace(/\s+/g, " ");
const key = (page, label) => page.locator(".key", { has: page.getByText(label, { exact: true }) });
const seconds = (t) => t.split(":").reduce((s, n) => s * 60 + Number(n), 0);

/** tap taps a control, and waits until the room has confirmed it. */
async function tap(page, label, then = "") {
  const k = key(page, label).first();
  await tapped(k);
  await page.locator(".key.told", { hasText: then || label }).first().waitFor();
}

/** undo takes the last act back; the key goes with what there is to undo. */
async function undo(page) {
  await settled(page);
  const { id } = (await willow.state()).session.undo[0];
  await tapped(key(page, "Undo"));
  await eventually("it is undone", async () => !(await willow.state()).session.undo.some((u) => u.id === id));
}

/** hold presses a control for as long as it takes, and waits until the room has confirmed it. */
async function hold(page, label) {
  await settled(page);
  await press(page, label, 1400);
}

async function sign(page) {
  await page.goto(willow.url + (await willow.pair()).link);
  await page.locator(".cards .row").first().waitFor();
  await settled(page);
}

/** press lays a finger on a control for ms. With slide it then leaves the control, with second another finger joins. */
async function press(page, label, ms, { slide = false, second = false } = {}) {
  const cdp = await page.context().newCDPSession(page);
  await key(page, label).first().scrollIntoViewIfNeeded();
  const box = await key(page, label).first().boundingBox();
  const one = { x: box.x + box.width / 2, y: box.y + box.height / 2, id: 1 };
  const touch = (type, ...touchPoints) => cdp.send("Input.dispatchTouchEvent", { type, touchPoints });
  await touch("touchStart", one);
  await page.waitForTimeout(second ? 200 : ms);
  if (second) await touch("touchStart", one, { ...one, x: one.x + 15, id: 2 });
  if (second) await page.waitForTimeout(ms);
  if (slide) await touch("touchMove", { ...one, x: box.x - 60 });
  if (slide) await page.waitForTimeout(1300);
  await touch("touchEnd");
  await cdp.detach();
}

test("a session, from sign-in to summary", async (t) => {
  const { page, context, faults } = await tablet();
  let going = true;
  let watcher;
  const step = (name, does) => t.test(name, async () => {
    assert.ok(going, "a step before this one failed");
    going = false;
    await does();
    going = true;
  });

  await step("a tablet that does not belong sees a dark page, and nothing of the room", async () => {
    await page.goto(willow.url);
    await page.getByText("does not belong").waitFor();
    const { y, blue } = light(await page.screenshot());
    assert.ok(y <= 1.5 && blue <= 0.1, `${y} ${blue}`);
    assert.doesNotMatch(await page.content(), /Willow|Short/);
    const lost = await page.goto(`${willow.url}/nothing`);
    assert.equal(lost.status(), 404);
    assert.ok(light(await page.screenshot()).y <= 1.5, "an error is dark too");
    await page.goto(`${willow.url}/pair#wrong`);
    await page.getByText("not valid").waitFor();
    assert.ok(light(await page.screenshot()).y <= 1.5);
  });

  await step("a code lets it in, once, and leaves nothing in the address", async () => {
    const { code, link } = await willow.pair();
    const wrong = code === "000000" ? "000001" : "000000";
    for (const d of wrong) await tapped(page.locator(".pad").getByText(d, { exact: true }));
    await page.getByText("not valid").waitFor();
    await page.keyboard.type(code.slice(0, 3));
    for (const d of code.slice(3)) await tapped(page.locator(".pad").getByText(d, { exact: true }));
    await page.locator(".cards .row").first().waitFor();
    const other = await tablet();
    await other.page.goto(willow.url + link); // the same pairing
    await other.page.getByText("not valid").waitFor();
    await other.context.close();
    assert.doesNotMatch(willow.log(), new RegExp(`${code}|${link.slice(6)}`));
    const [cookie] = await context.cookies();
    assert.ok(cookie.httpOnly && !cookie.secure && cookie.value.length > 30);
    await settled(page);
    assert.equal(page.url(), willow.url + "/");
    assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), "Willow");
  });

  await step("it says what is wrong, and that it may fall asleep over http", async () => {
    assert.match(await text(page.locator(".verdict")), /Not ready\. This room has no sound output/);
    await tapped(key(page, "Details"));
    const ready = await text(page.locator(".ready"));
    assert.match(ready, /Sound/);
    assert.match(ready, /Screen may lock This page came over http/);
    for (const p of (await willow.state()).problems) assert.ok(ready.includes(p.says), p.says);
  });

  await step("a scene lights the room", async () => {
    const level = async () => (await willow.state()).lights.ambient.target.level;
    const was = await level();
    await tapped(key(page, "Try the room"));
    await tap(page, "Dusk");
    await eventually("the lamp is on its way, or there", async () => {
      const want = await level();
      return want !== was && new RegExp(`(to | )${want} %`).test(await text(page.locator(".lamp").nth(1)));
    });
  });

  await step("its language is changed by one key, and kept over a reload", async () => {
    await tapped(key(page, "Screen"));
    await tapped(page.getByRole("button", { name: "Language: English" }));
    await page.getByText("Raum ausprobieren").first().waitFor();
    await page.reload();
    await page.getByText("Raum ausprobieren").waitFor();
    assert.equal(await page.locator("html").getAttribute("lang"), "de");
    await tapped(key(page, "Bildschirm"));
    for (const name of ["Deutsch", "Français", "Español", "Nederlands"]) {
      await tapped(page.locator(".screen .key", { hasText: name }));
    }
    await page.getByText("Try the room").waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".panel").waitFor({ state: "detached" });
    await settled(page);
  });

  await step("the sound is checked, and falls silent when it is told to", async () => {
    await tapped(key(page, "Try the room"));
    await tapped(key(page, "Sound check"));
    await key(page, "Stop").waitFor();
    assert.equal((await willow.state()).checking, true);
    await tapped(key(page, "Stop"));
    await key(page, "Sound check").waitFor();
    assert.equal((await willow.state()).checking, undefined);
  });

  await step("devices are listed, and sent away at once", async () => {
    const watcher = await tablet();
    await watcher.page.goto(willow.url + (await willow.pair("Supervision", "--observer")).link);
    await watcher.page.getByText("only watches").waitFor();
    assert.equal(await watcher.page.locator(".go .key").count(), 0);
    await tapped(key(page, "Devices"));
    const row = page.locator("li", { hasText: "Supervision" });
    assert.match(await text(row), /Only watches · connected now/i);
    assert.match(await text(page.locator("li", { hasText: "this one" })), /Linux .*Runs sessions/i);
    await settled(page);
    const box = await row.getByRole("button").boundingBox();
    await page.mouse.move(box.x + 20, box.y + 20);
    await page.mouse.down();
    await page.waitForTimeout(1400);
    await page.mouse.up();
    await row.waitFor({ state: "detached" });
    await watcher.page.getByText("does not belong").waitFor({ timeout: promised(2000) });
    assert.doesNotMatch(await watcher.page.content(), /Willow/);
    await watcher.context.close();
    await tapped(key(page, "Back to the start"));
  });

  await step("a playlist is chosen and started", async () => {
    await tapped(page.locator(".row", { hasText: "Short" }));
    assert.match(await text(page.locator(".chosen")), /Short 33 min For tests.*Preparation.*Administration.*Integration/);
    await tapped(key(page, "Start without sound")); // a tap is too little where nobody would hear anything
    await page.getByText("keep your finger on it").waitFor();
    assert.equal((await willow.state()).session, null);
    await hold(page, "Start without sound");
    await page.locator(".elapsed").waitFor();
    watcher = await tablet({ size: [1024, 768] });
    await watcher.page.goto(willow.url + (await willow.pair("Supervision", "--observer")).link);
    await watcher.page.locator(".elapsed").waitFor();
    assert.equal(await watcher.page.locator(".rows .key, section.strip .key, .due .key, .undo").count(), 0);
    const { session } = await willow.state();
    assert.equal(session.name, "Short");
    assert.equal(await page.locator(".phase .name").innerText(), "Arrival");
  });

  await step("the clock is the room's, and steps on the second", async () => {
    const { flips, stood } = await page.evaluate(flipping);
    assert.ok(flips.length >= 4 && flips.length <= 5, JSON.stringify(flips));
    const asked = performance.timeOrigin + performance.now();
    const { session, now_ms } = await willow.state();
    const answered = performance.timeOrigin + performance.now();
    assert.ok(Math.abs(now_ms - session.started_ms - session.elapsed_ms) < 5);
    for (const [at, shown] of flips) {
      const late = at - ((asked + answered) / 2 - session.elapsed_ms) - seconds(shown) * 1000;
      assert.ok(late > -30 && late < 150 + stood, `${shown} came ${late.toFixed(0)} ms late; the page stood still for ${stood.toFixed(0)} ms`);
    }
  });

  await step("hold and let go, with what they do to the end", async () => {
    await settled(page);
    // 0.7 s after it has become the other of its pair, a tap on it is guarded still.
    const guarded = page.evaluate(() => new Promise((ok) => {
      const key = [...document.querySelectorAll(".rows .key")].find((k) => k.innerText.startsWith("Stay here"));
      new MutationObserver((_, o) => {
        if (!key.innerText.startsWith("Continue")) return;
        o.disconnect();
        setTimeout(() => { key.click(); setTimeout(ok, 400); }, 700);
      }).observe(key, { subtree: true, characterData: true, childList: true });
    }));
    await key(page, "Stay here").dblclick({ delay: 30 });
    await guarded;
    assert.equal((await willow.state()).session.phase.held, true);
    assert.equal(await page.locator(".state").innerText(), "No sound output · Staying here");
    assert.ok(await page.locator(".key.on", { hasText: "Continue" }).count());
    await tap(page, "Continue", "Stay here");
    assert.equal((await willow.state()).session.phase.held, false);
    assert.equal(await page.locator(".state").innerText(), "No sound output");
  });

  await step("minutes more and less, and taken back", async () => {
    const length = async () => (await willow.state()).session.phase.end_ms;
    const was = await length();
    await tap(page, "+5 min");
    assert.equal(await length(), was + 300_000);
    await page.locator(".ends", { hasText: "(+5 min)" }).waitFor();
    assert.match(await text(page.locator(".undo")), /^Undo Arrival lengthened by 5 min$/);
    await undo(page);
    assert.equal(await length(), was);
    await page.locator(".ends small").waitFor({ state: "detached" });
    await tap(page, "−5 min");
    assert.equal(await length(), was - 300_000);
    await undo(page);
  });

  await step("level, silence, resume, skip, soften", async () => {
    const s = async () => (await willow.state()).session;
    await tap(page, "Softer");
    assert.equal((await s()).level_db, -3);
    await page.locator(".volume", { hasText: "a little softer" }).waitFor();
    await tap(page, "Louder");
    assert.equal((await s()).level_db, 0);
    await page.locator(".volume", { hasText: "as planned" }).waitFor();
    await tap(page, "Silence", "Resume");
    assert.equal((await s()).silent, true);
    await page.locator(".state", { hasText: "Silent" }).waitFor();
    await tap(page, "Resume", "Silence");
    assert.equal((await s()).silent, false);
    await tap(page, "Soften", "Full volume");
    assert.equal((await s()).softened, true);
    await page.locator(".state", { hasText: "Softened" }).waitFor();
    await tap(page, "Full volume", "Soften");
    assert.equal((await s()).softened, false);
    const clip = (await s()).music.clip;
    await tap(page, "Other track");
    await eventually("another clip", async () => (await s()).music.clip !== clip);
  });

  await step("lights for care, and back", async () => {
    await tap(page, "Care light", "Lights back");
    assert.equal((await willow.state()).session.care, true);
    await page.locator(".lights", { hasText: "2 of 2 lamps answered" }).waitFor();
    await tap(page, "Lights back", "Care light");
    assert.equal((await willow.state()).session.care, false);
  });

  await step("marks, and a phase that waits for one", async () => {
    await tap(page, "Vitals");
    await hold(page, "Move on");
    await page.locator(".phase .name", { hasText: "Intention" }).waitFor();
    assert.match(await page.locator(".state").innerText(), /Waiting for Lozenge/);
    assert.equal(await page.locator(".time .cap").innerText(), "Since the start");
    await page.getByText("No Lozenge yet").waitFor();
    await tapped(key(page, "Lozenge"));
    await page.locator(".phase .name", { hasText: "Journey" }).waitFor();
    await page.locator(".time .cap", { hasText: "Since Lozenge" }).waitFor();
    const { session } = await willow.state();
    assert.deepEqual(session.marks.map((m) => m.name), ["Vitals", "Lozenge"]);
    await eventually("two seconds since Lozenge", async () => seconds(await page.locator(".elapsed").innerText()) >= 2);
  });

  await step("a reminder waits, and is answered by its mark", async () => {
    const r = page.locator(".remind");
    await page.locator(".remind", { hasText: /Spit or swallow (now|due)/ }).waitFor();
    await tapped(r.getByRole("button", { name: "Swallow" }));
    await r.waitFor({ state: "detached" });
    assert.equal(await page.getByText("Undo").count(), 1);
    assert.equal((await willow.state()).session.marks.at(-1).name, "Swallow");
  });

  await step("to move on takes a press, and undo stands until the next act of a person", async () => {
    assert.equal((await willow.state()).session.phase.name, "Journey");
    await settled(page);
    await key(page, "Move on").dblclick({ delay: 60 });
    await page.getByText("Move on: keep your finger on it").waitFor();
    assert.equal((await willow.state()).session.phase.name, "Journey");
    await hold(page, "Move on");
    await page.locator(".phase .name", { hasText: "Return" }).waitFor();
    await undo(page); // to another phase only for ten seconds
    assert.equal((await willow.state()).session.phase.name, "Journey");
    await tap(page, "Softer");
    await page.waitForTimeout(10_500);
    assert.match(await text(page.locator(".undo")), /^Undo /);
    await undo(page);
    assert.equal((await willow.state()).session.level_db, 0);
  });

  await step("a reload shows the same screen", async () => {
    const shown = async () => [await page.locator(".phase .name").innerText(), await page.locator(".state").innerText(), await text(page.locator(".volume"))];
    const was = await shown();
    const at = seconds(await page.locator(".elapsed").innerText());
    await page.reload();
    await page.locator(".elapsed").waitFor();
    assert.deepEqual(await shown(), was);
    const now = seconds(await page.locator(".elapsed").innerText());
    assert.ok(now >= at && now <= at + 8, `${at} → ${now}`);
    await settled(page);
  });

  await step("loaded anew with its style three seconds late it is black until the style is there", async () => {
    await page.route("**/*.css", async (route) => {
      await new Promise((ok) => setTimeout(ok, 3000));
      await route.continue();
    });
    const shots = [];
    const cdp = await context.newCDPSession(page); // page.screenshot waits for the style
    const shoot = async () => shots.push(light(Buffer.from((await cdp.send("Page.captureScreenshot")).data, "base64")).y);
    await page.reload({ waitUntil: "commit" });
    while (!(await page.locator(".elapsed").isVisible()) || shots.length < 5) {
      await shoot();
      await page.waitForTimeout(250);
    }
    await cdp.detach();
    await page.locator(".elapsed").waitFor();
    shots.push(light(await page.screenshot()).y);
    await page.unroute("**/*.css");
    assert.ok(shots.length > 4 && Math.max(...shots) <= 1.5, shots.map((y) => y.toFixed(2)).join(" "));
    assert.ok(shots.at(-1) > 0.3, "its style came");
    await settled(page);
  });

  await step("bring back goes to the return", async () => {
    await hold(page, "Return early");
    await page.locator(".state", { hasText: "Returning early" }).waitFor();
    assert.equal((await willow.state()).session.returning, true);
    assert.equal(await key(page, "Return early").count(), 0);
  });

  await step("a long press that is let go, slides off or is joined by another finger does nothing", async () => {
    const s = async () => (await willow.state()).session;
    await press(page, "Emergency", 600);
    await page.getByText("Emergency: keep your finger on it").waitFor();
    await press(page, "Move on", 600, { slide: true });
    await press(page, "Second dose", 1500, { second: true });
    const box = await key(page, "Move on").boundingBox(); // with a mouse no browser gesture helps
    await page.mouse.move(box.x + 20, box.y + 20);
    await page.mouse.down();
    await page.waitForTimeout(500);
    await page.mouse.move(box.x - 20, box.y + 20);
    await page.waitForTimeout(1200);
    await page.mouse.up();
    assert.equal((await s()).state, "running");
    assert.equal((await s()).emergency, false);
  });

  await step("emergency: held for 1.2 s, and which lamps answered", async () => {
    const took = page.evaluate(() => new Promise((ok) => {
      const e = [...document.querySelectorAll(".long")].find((k) => k.innerText.startsWith("EMERGENCY"));
      let down;
      e.addEventListener("pointerdown", () => (down = performance.now()));
      new MutationObserver(() => /sending|done/.test(e.innerText) && ok(performance.now() - down)).observe(e, { subtree: true, characterData: true });
    }));
    await press(page, "Emergency", 1500);
    await page.locator(".state", { hasText: "Emergency" }).waitFor();
    assert.ok((await took) >= 1195, `${await took} ms`);
    assert.equal((await willow.state()).session.emergency, true);
    await page.locator(".done", { hasText: /Music off[^]*accent: on[^]*ambient: on/ }).waitFor();
    assert.ok(seconds(await page.locator(".elapsed").innerText()) < 30, "it has a clock of its own");
    assert.equal(await page.locator("section.strip .key.long").count(), 1, "one way out");
    await tap(page, "Vitals");
    await tapped(key(page, "Bring the session back"));
    assert.equal((await willow.state()).session.emergency, true);
    await hold(page, "Bring the session back");
    await page.locator(".rows").waitFor();
    assert.equal((await willow.state()).session.emergency, false);
  });

  await step("End by keyboard: asked, declined, asked again, done", async () => {
    await tapped(key(page, "More …"));
    await key(page, "End …").waitFor();
    await settled(page);
    await key(page, "End …").focus();
    await page.keyboard.press("Enter");
    const ask = page.getByRole("group", { name: "End the session?" });
    await ask.waitFor();
    await page.keyboard.press("Escape");
    await ask.waitFor({ state: "detached" });
    assert.equal((await willow.state()).session.state, "running");
    await settled(page);
    await key(page, "End …").focus();
    await page.keyboard.press("Space");
    await ask.waitFor();
    for (const _ of ["how", "sure"]) {
      await settled(page);
      await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
    }
    await page.locator(".state", { hasText: "Ending" }).waitFor();
    assert.equal((await willow.state()).session.state, "ending");
  });

  await step("abort ends it at once, and the summary says so", async () => {
    if (!(await key(page, "End …").count())) await tapped(key(page, "More …")); // which closes when nobody has touched it for a while
    await tapped(key(page, "End …"));
    await hold(page, "Stop at once");
    await page.getByText("The session has ended").waitFor();
    const { session } = await willow.state();
    const record = await willow.get(`/api/v1/sessions/${session.id}`);
    const sum = await text(page.locator("main"));
    assert.match(sum, /Willow · Short Screen \d+ (s|min \d\d s|min), 4 marks It was stopped at once\. Emergency at \d/);
    for (const m of session.marks) assert.ok(sum.includes(m.name), m.name);
    assert.match(sum, /Stayed here .*Continued .*5 min longer · Arrival .*Undone .*Volume: a little softer .*Emergency .*Ended .*Stopped at once/);
    assert.ok(record.events.length > 15);
    assert.ok(light(await page.screenshot()).y <= 1.5);
  });

  await step("a note is written to a mark and to the whole, and asks for no names", async () => {
    await tapped(key(page, "Note"));
    await page.getByText("No names or initials").waitFor();
    await page.locator("textarea").fill("=calm, \"slow\"");
    await tapped(page.locator(".which .key", { hasText: "Lozenge" }));
    await page.locator("textarea").fill("grimace");
    await tapped(key(page, "Save"));
    await page.locator(".note", { hasText: "grimace" }).waitFor();
    await page.locator("p.note", { hasText: "calm" }).waitFor();
    assert.match(await text(page.locator("main .big")), /2 notes/);
    assert.ok(light(await page.screenshot()).y <= 1.5);
  });

  await step("it is exported as CSV and JSON, without a date, and printed dark on white", async () => {
    const { session } = await willow.state();
    for (const kind of ["CSV", "JSON"]) {
      const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: kind }).click()]);
      assert.equal(file.suggestedFilename(), `session-${session.id}.${kind.toLowerCase()}`);
      const got = await readFile(await file.path(), "utf8");
      assert.match(got, /grimace/);
      assert.doesNotMatch(got, /20\d\d-\d\d|(?<![:\d])\d\d:\d\d(?![:\d])/);
      if (kind === "CSV") assert.match(got, /\d:\d\d:\d\d,0:00:00,mark,Lozenge,grimace\r\n/);
    }
    await page.emulateMedia({ media: "print" });
    const paper = light(await page.screenshot({ fullPage: true }));
    assert.ok(paper.y > 80, `${paper.y} % of white`);
    for (const words of ["Lozenge", "grimace", "Journey"]) assert.ok((await page.locator("main").innerText()).includes(words), words);
    await page.emulateMedia({ media: "screen" });
  });

  await step("the session is in the history, and erased when it is told to", async () => {
    await tapped(key(page, "Back to the start"));
    await page.locator(".cards .row").first().waitFor();
    await tapped(key(page, "Sessions"));
    const card = page.locator(".row", { hasText: "Short" });
    assert.match(await text(card), /\d+ marks, 2 notes · (just now|\d+ (s|min) ago)[^]*It was stopped at once\. Erases itself in (29|30) days/);
    await tapped(card);
    await page.getByText("A session that is over").waitFor();
    await settled(page);
    await press(page, "Erase now", 1500);
    await page.getByText("No session is kept").waitFor();
    assert.deepEqual(await willow.get("/api/v1/sessions"), []);
    await settled(page);
  });

  await step("back at the start, and a reload stays there", async () => {
    await tapped(key(page, "Back to the start"));
    await page.locator(".cards .row").first().waitFor();
    await page.reload();
    await page.locator(".cards .row").first().waitFor();
  });

  await step("the observer saw it all, and has nothing to press", async () => {
    await watcher.page.locator(".cards .row").first().waitFor();
    assert.equal(await watcher.page.locator(".go .key").count(), 0);
    assert.deepEqual(watcher.faults, []);
    await watcher.context.close();
  });

  await step("nothing broke the content security policy, and no error was thrown", () => assert.deepEqual(faults, []));
  await context.close();
});
