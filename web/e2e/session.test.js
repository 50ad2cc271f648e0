// A session on the real binary, from a tablet that does not belong to the room yet to its summary.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { light } from "./png.js";
import { eventually, room } from "./room.js";
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
async function tap(page, label) {
  const k = key(page, label).first();
  await page.waitForTimeout(420); // a second tap sooner is one that bounced
  await k.click();
  await page.locator(".key.told", { hasText: label }).first().waitFor();
}

async function sign(page) {
  await page.goto(willow.url + (await willow.pair()).link);
  await page.locator(".card").first().waitFor();
  await page.waitForTimeout(450);
}

/** press lays a finger on a control for ms. With slide it then leaves the control, with second another finger joins. */
async function press(page, label, ms, { slide = false, second = false } = {}) {
  const cdp = await page.context().newCDPSession(page);
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
    for (const d of wrong) await page.locator(".pad").getByText(d, { exact: true }).click();
    await page.getByText("not valid").waitFor();
    await page.keyboard.type(code.slice(0, 3));
    for (const d of code.slice(3)) await page.locator(".pad").getByText(d, { exact: true }).click();
    await page.locator(".card").first().waitFor();
    const other = await tablet();
    await other.page.goto(willow.url + link); // the same pairing
    await other.page.getByText("not valid").waitFor();
    await other.context.close();
    assert.doesNotMatch(willow.log(), new RegExp(`${code}|${link.slice(6)}`));
    const [cookie] = await context.cookies();
    assert.ok(cookie.httpOnly && !cookie.secure && cookie.value.length > 30);
    await page.waitForTimeout(450);
    assert.equal(page.url(), willow.url + "/");
    assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), "Willow");
  });

  await step("it says what is wrong, and that it may fall asleep over http", async () => {
    const ready = await text(page.locator(".ready"));
    assert.match(ready, /Sound/);
    assert.match(ready, /May fall asleep This page came over http/);
    for (const p of (await willow.state()).problems) assert.ok(ready.includes(p.says), p.says);
  });

  await step("a scene lights the room", async () => {
    const level = async () => (await willow.state()).lights.ambient.target.level;
    const was = await level();
    await tap(page, "dusk");
    await eventually("the lamp is on its way, or there", async () => {
      const want = await level();
      return want !== was && new RegExp(`(to | )${want} %`).test(await text(page.locator(".lamp").nth(1)));
    });
  });

  await step("its language is changed by one key, and kept over a reload", async () => {
    await page.waitForTimeout(450);
    await page.getByRole("button", { name: "Language: English" }).click();
    await page.getByText("Ist der Raum bereit?").waitFor();
    await page.reload();
    await page.getByText("Ist der Raum bereit?").waitFor();
    assert.equal(await page.locator("html").getAttribute("lang"), "de");
    for (const name of ["Deutsch", "Français", "Español", "Nederlands"]) {
      await page.waitForTimeout(450);
      await page.locator(".screen .key", { hasText: name }).click();
    }
    await page.getByText("Is the room ready?").waitFor();
    await page.waitForTimeout(450);
  });

  await step("the sound is checked, and falls silent when it is told to", async () => {
    await tap(page, "Sound check");
    assert.equal((await willow.state()).checking, true);
    await tap(page, "Stop");
    assert.equal((await willow.state()).checking, undefined);
    assert.equal(await key(page, "Stop").getAttribute("aria-disabled"), "true");
  });

  await step("devices are listed, and sent away at once", async () => {
    const watcher = await tablet();
    await watcher.page.goto(willow.url + (await willow.pair("Supervision", "--observer")).link);
    await watcher.page.getByText("only watches").waitFor();
    assert.equal(await key(watcher.page, "Start").count(), 0);
    await page.waitForTimeout(450);
    await key(page, "Devices").click();
    const row = page.locator("li", { hasText: "Supervision" });
    assert.match(await text(row), /only watches · connected now/);
    assert.match(await text(page.locator("li", { hasText: "this one" })), /Linux .* steers/);
    await page.waitForTimeout(450);
    const box = await row.getByRole("button").boundingBox();
    await page.mouse.move(box.x + 20, box.y + 20);
    await page.mouse.down();
    await page.waitForTimeout(1400);
    await page.mouse.up();
    await row.waitFor({ state: "detached" });
    await watcher.page.getByText("does not belong").waitFor({ timeout: 2000 });
    assert.doesNotMatch(await watcher.page.content(), /Willow/);
    await watcher.context.close();
    await key(page, "Back to the start").click();
  });

  await step("a playlist is chosen and started", async () => {
    await page.locator(".card", { hasText: "Short" }).click();
    assert.match(await text(page.locator(".chosen")), /Short 33 min For tests.*Preparation.*Administration.*Integration/);
    await page.waitForTimeout(450);
    await key(page, "Start").click();
    await page.locator(".elapsed").waitFor();
    watcher = await tablet({ size: [1024, 768] });
    await watcher.page.goto(willow.url + (await willow.pair("Supervision", "--observer")).link);
    await watcher.page.locator(".elapsed").waitFor();
    assert.equal(await watcher.page.locator(".keys .key, .leave .key").count(), 0);
    const { session } = await willow.state();
    assert.equal(session.name, "Short");
    assert.equal(await page.locator(".phase .name").innerText(), "Arrival");
  });

  await step("the clock is the room's, and steps on the second", async () => {
    const flips = await page.evaluate(async () => {
      const e = document.querySelector(".elapsed"), seen = [];
      new MutationObserver(() => seen.push([performance.timeOrigin + performance.now(), e.textContent])).observe(e, { subtree: true, characterData: true, childList: true });
      await new Promise((ok) => setTimeout(ok, 4200));
      return seen;
    });
    assert.ok(flips.length >= 4 && flips.length <= 5, JSON.stringify(flips));
    const asked = performance.timeOrigin + performance.now();
    const { session, now_ms } = await willow.state();
    const answered = performance.timeOrigin + performance.now();
    assert.ok(Math.abs(now_ms - session.started_ms - session.elapsed_ms) < 5);
    for (const [at, shown] of flips) {
      const late = at - ((asked + answered) / 2 - session.elapsed_ms) - seconds(shown) * 1000;
      assert.ok(late > -30 && late < 150, `${shown} came ${late.toFixed(0)} ms late`);
    }
  });

  await step("hold and let go, with what they do to the end", async () => {
    assert.match(await text(key(page, "Hold")), /ends \d\d:\d\d → \d\d:\d\d|end stays/);
    await tap(page, "Hold");
    assert.equal((await willow.state()).session.phase.held, true);
    assert.equal(await page.locator(".state").innerText(), "Held");
    assert.equal(await key(page, "Hold").getAttribute("aria-disabled"), "true");
    await tap(page, "Let go");
    assert.equal((await willow.state()).session.phase.held, false);
    assert.equal(await page.locator(".state").innerText(), "Running");
  });

  await step("minutes more and less, and taken back", async () => {
    const length = async () => (await willow.state()).session.phase.end_ms;
    const was = await length();
    await tap(page, "+5 min");
    assert.equal(await length(), was + 300_000);
    await page.getByText("5 min later than planned").waitFor();
    assert.match(await text(page.locator(".group.undo")), /Arrival lengthened by 5 min · ([1-9]|10) s/);
    await tap(page, "Undo");
    assert.equal(await length(), was);
    await page.getByText("5 min later than planned").waitFor({ state: "detached" });
    await tap(page, "−5 min");
    assert.equal(await length(), was - 300_000);
    await tap(page, "Undo");
  });

  await step("level, silence, resume, skip, soften", async () => {
    const s = async () => (await willow.state()).session;
    await tap(page, "Level −");
    assert.equal((await s()).level_db, -1);
    await page.getByText("Level −1 dB").waitFor();
    await tap(page, "Level +");
    assert.equal((await s()).level_db, 0);
    await tap(page, "Silence");
    assert.equal((await s()).silent, true);
    await page.locator(".music .title", { hasText: "Silent" }).waitFor();
    assert.equal(await key(page, "Silence").getAttribute("aria-disabled"), "true");
    await tap(page, "Resume");
    assert.equal((await s()).silent, false);
    await tap(page, "Soften");
    assert.equal((await s()).softened, true);
    await page.locator(".music .title", { hasText: "Soft" }).waitFor();
    await tap(page, "Resume");
    const clip = (await s()).music.clip;
    await tap(page, "Skip");
    await eventually("another clip", async () => (await s()).music.clip !== clip);
  });

  await step("lights for care, and back", async () => {
    await tap(page, "Lights for care");
    assert.equal((await willow.state()).session.care, true);
    await page.getByText(/of 1 lamps? answered|1 of 1/).first().waitFor();
    await tap(page, "Lights back");
    assert.equal((await willow.state()).session.care, false);
  });

  await step("marks, and a phase that waits for one", async () => {
    await tap(page, "Vitals");
    await tap(page, "Next");
    assert.equal(await page.locator(".phase .name").innerText(), "Intention");
    assert.equal(await page.locator(".state").innerText(), "Waits for Lozenge");
    assert.equal(await page.locator(".time .cap").nth(1).innerText(), "No Lozenge yet");
    await tap(page, "Lozenge");
    await page.locator(".phase .name", { hasText: "Journey" }).waitFor();
    await page.getByText("Since Lozenge").waitFor();
    const { session } = await willow.state();
    assert.deepEqual(session.marks.map((m) => m.name), ["Vitals", "Lozenge"]);
    await eventually("two seconds since Lozenge", async () => seconds(await page.locator(".second").first().innerText()) >= 2);
  });

  await step("a reminder waits, and is answered by its mark", async () => {
    const r = page.locator(".remind");
    await r.waitFor();
    assert.match(await text(r), /Spit or swallow due/);
    await page.waitForTimeout(450);
    await r.getByRole("button", { name: "Swallow" }).click();
    await r.waitFor({ state: "detached" });
    assert.equal((await willow.state()).session.marks.at(-1).name, "Swallow");
  });

  await step("a double tap on Next goes on by one phase", async () => {
    // Two taps of the same finger 120 ms apart, before the room has answered the first and after.
    const before = (await willow.state()).session.phase.name;
    assert.equal(before, "Journey");
    await page.waitForTimeout(450);
    await key(page, "Next").dblclick({ delay: 60 });
    await page.locator(".phase .name", { hasText: "Return" }).waitFor();
    await page.waitForTimeout(700);
    assert.equal((await willow.state()).session.phase.name, "Return");
    await tap(page, "Undo");
    assert.equal((await willow.state()).session.phase.name, "Journey");
  });

  await step("a reload shows the same screen", async () => {
    const shown = async () => [await page.locator(".phase .name").innerText(), await page.locator(".state").innerText(), await text(page.locator(".music .cap").last())];
    const was = await shown();
    const at = seconds(await page.locator(".elapsed").innerText());
    await page.reload();
    await page.locator(".elapsed").waitFor();
    assert.deepEqual(await shown(), was);
    const now = seconds(await page.locator(".elapsed").innerText());
    assert.ok(now >= at && now <= at + 8, `${at} → ${now}`);
    await page.waitForTimeout(450);
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
    await page.waitForTimeout(450);
  });

  await step("bring back goes to the return", async () => {
    await tap(page, "Bring back");
    const { session } = await willow.state();
    assert.equal(session.returning, true);
    assert.equal(await page.locator(".state").innerText(), "Bringing back");
  });

  await step("a long press that is let go, slides off or is joined by another finger does nothing", async () => {
    const s = async () => (await willow.state()).session;
    await press(page, "Emergency", 600);
    await page.getByText("Emergency: keep your finger on it").waitFor();
    await press(page, "End", 600, { slide: true });
    await press(page, "Abort", 1500, { second: true });
    const box = await key(page, "End").boundingBox(); // with a mouse no browser gesture helps
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
      const e = [...document.querySelectorAll(".long")].find((k) => k.innerText.startsWith("Emergency"));
      let down;
      e.addEventListener("pointerdown", () => (down = performance.now()));
      new MutationObserver(() => /sending|done/.test(e.innerText) && ok(performance.now() - down)).observe(e, { subtree: true, characterData: true });
    }));
    await press(page, "Emergency", 1500);
    await page.locator(".state", { hasText: "Emergency" }).waitFor();
    assert.ok((await took) >= 1195, `${await took} ms`);
    assert.equal((await willow.state()).session.emergency, true);
    await page.getByText("1 of 1 lamps answered").first().waitFor();
    await tap(page, "Resume");
    assert.equal((await willow.state()).session.emergency, false);
  });

  await step("End by keyboard: asked, declined, asked again, done", async () => {
    await page.waitForTimeout(450);
    await key(page, "End").focus();
    await page.keyboard.press("Enter");
    const ask = page.getByRole("group", { name: "End?" });
    await ask.waitFor();
    await page.keyboard.press("Escape");
    await ask.waitFor({ state: "detached" });
    assert.equal((await willow.state()).session.state, "running");
    await page.waitForTimeout(450);
    await page.keyboard.press("Space");
    await ask.waitFor();
    await page.waitForTimeout(450);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator(".state", { hasText: "Ending" }).waitFor();
    assert.equal((await willow.state()).session.state, "ending");
  });

  await step("abort ends it at once, and the summary says so", async () => {
    await page.waitForTimeout(450);
    await press(page, "Abort", 1400);
    await page.getByText("The session has ended").waitFor({ timeout: 10_000 });
    const { session } = await willow.state();
    const record = await willow.get(`/api/v1/sessions/${session.id}`);
    const sum = await text(page.locator("main"));
    assert.match(sum, /It took .* It was aborted\./);
    for (const m of session.marks) assert.ok(sum.includes(m.name), m.name);
    assert.match(sum, /Held .*Let go .*Phase changed by \+5 min .*Taken back .*Level −1 dB .*Emergency .*Ended .*Aborted/);
    assert.ok(record.events.length > 15);
    assert.ok(light(await page.screenshot()).y <= 1.5);
  });

  await step("a note is written to a mark and to the whole, and asks for no names", async () => {
    await page.waitForTimeout(450);
    await key(page, "Note").click();
    await page.getByText("No names or initials").waitFor();
    await page.locator("textarea").fill("=calm, \"slow\"");
    await page.waitForTimeout(450);
    await page.locator(".which .key", { hasText: "Lozenge" }).click();
    await page.locator("textarea").fill("grimace");
    await page.waitForTimeout(450);
    await key(page, "Save").click();
    await page.locator(".note", { hasText: "grimace" }).waitFor();
    await page.locator("p.note", { hasText: "calm" }).waitFor();
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
    await key(page, "Back to the start").click();
    await page.locator(".card").first().waitFor();
    await page.waitForTimeout(450);
    await key(page, "Sessions").click();
    const card = page.locator(".card", { hasText: "Short" });
    assert.match(await text(card), /It was aborted\. Erases itself in (29|30) days/);
    await page.waitForTimeout(450);
    await card.click();
    await page.getByText("A session that is over").waitFor();
    await page.waitForTimeout(450);
    await press(page, "Erase now", 1500);
    await page.getByText("No session is kept").waitFor();
    assert.deepEqual(await willow.get("/api/v1/sessions"), []);
    await page.waitForTimeout(450);
  });

  await step("back at the start, and a reload stays there", async () => {
    await page.waitForTimeout(450);
    await key(page, "Back to the start").click();
    await page.locator(".card").first().waitFor();
    await page.reload();
    await page.locator(".card").first().waitFor();
  });

  await step("the observer saw it all, and has nothing to press", async () => {
    await watcher.page.locator(".card").first().waitFor();
    assert.equal(await key(watcher.page, "Start").count(), 0);
    assert.deepEqual(watcher.faults, []);
    await watcher.context.close();
  });

  await step("nothing broke the content security policy, and no error was thrown", () => assert.deepEqual(faults, []));
  await context.close();
});
