// Over https, in a browser that trusts the room's authority, and in one that does not.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { light } from "./png.js";
import { eventually, freePort, room } from "./room.js";
import { close, options, tablet } from "./tablet.js";

const run = promisify(execFile);
let willow, secure, home;
const browsers = [];

before(async () => {
  const port = await freePort();
  secure = `https://room.local:${port}`;
  willow = await room(undefined, `room: Willow\naudio: {output: none}\nhttps: {listen: "127.0.0.1:${port}", names: [room.local, room.clinic.example]}\n`);
  home = await mkdtemp(join(tmpdir(), "roomd-home-"));
  const db = join(home, ".pki", "nssdb"), crt = join(home, "room.crt");
  await mkdir(db, { recursive: true });
  await writeFile(crt, Buffer.from(await (await fetch(willow.url.replace("room.local", "127.0.0.1") + "/ca.crt")).arrayBuffer()));
  await run("certutil", ["-d", `sql:${db}`, "-N", "--empty-password"]);
  await run("certutil", ["-d", `sql:${db}`, "-A", "-t", "C,,", "-n", "room", "-i", crt]);
});
after(async () => {
  for (const b of browsers) await b.close();
  await close();
  await willow.close();
  await rm(home, { recursive: true, force: true });
});

/** trusting is a page of a browser that trusts the room's authority. */
async function trusting() {
  const browser = await chromium.launch({ ...options(), env: { ...process.env, HOME: home } });
  browsers.push(browser);
  const context = await browser.newContext({ viewport: { width: 1180, height: 820 }, hasTouch: true });
  return { context, page: await context.newPage() };
}

test("who does not trust the room is told how over http, and warned by the browser over https", async () => {
  const { page, context, faults } = await tablet();
  const warned = await context.newPage();
  await assert.rejects(warned.goto(secure), /ERR_CERT_AUTHORITY_INVALID/);
  await warned.close();
  await page.goto(willow.url);
  await page.getByRole("button", { name: "Make it private" }).waitFor();
  await page.waitForTimeout(450); // from then on taps count
  await page.getByRole("button", { name: "Make it private" }).click();
  await page.getByText("Not trusted yet").waitFor();
  assert.equal(await page.getByRole("button", { name: "Go on privately" }).getAttribute("aria-disabled"), "true");
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Load the certificate" }).click()]);
  assert.equal(file.suggestedFilename(), "room.crt");
  assert.deepEqual(faults.filter((f) => !/ERR_CERT/.test(f)), []);
  await context.close();
});

test("who trusts it goes over, stays signed in, is kept awake, and keeps the page in an outage", async () => {
  const { page, context } = await trusting();
  await page.goto(willow.url + (await willow.pair()).link);
  await page.locator(".card").first().waitFor();
  await page.waitForTimeout(450);
  await page.getByRole("button", { name: "Devices" }).click();
  await page.waitForTimeout(450);
  await page.getByRole("button", { name: "Make it private" }).click();
  await page.getByText("This tablet trusts the room").waitFor();
  await page.waitForTimeout(450);
  await page.getByRole("button", { name: "Go on privately" }).click();
  await page.waitForURL(secure + "/");
  await page.locator(".ready", { hasText: "Stays awake" }).waitFor();
  await eventually("there is a service worker", () => page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.active?.state === "activated"));
  await eventually("the page is kept", () => page.evaluate(async () => (await Promise.all((await caches.keys()).map(async (k) => (await (await caches.open(k)).keys()).length)))[0] > 5));
  const kept = await page.evaluate(async () => (await Promise.all((await caches.keys()).map(async (k) => (await (await caches.open(k)).keys()).map((r) => new URL(r.url).pathname)))).flat());
  assert.deepEqual(kept.filter((p) => p !== "/" && !p.startsWith("/assets/")), [], "nothing of the room is kept");

  await willow.kill();
  await page.reload({ waitUntil: "commit" });
  await page.getByText("Looking for the room").waitFor();
  assert.ok(light(await page.screenshot()).y <= 1.5);
  await willow.start();
  await page.locator(".card").first().waitFor();
  await context.close();
});

test("paired over https, the cookie is for https alone", async () => {
  const { page, context } = await trusting();
  await page.goto(secure + (await willow.pair()).link);
  await page.locator(".card").first().waitFor();
  const [cookie] = await context.cookies();
  assert.ok(cookie.secure && cookie.httpOnly);
  assert.equal(await page.getByRole("button", { name: "Make it private" }).count(), 0);
  await page.goto(willow.url);
  await page.getByText("does not belong").waitFor();
  await context.close();
});

test("it can be put on the home screen", async () => {
  const { page, context } = await trusting();
  await page.goto(secure);
  const cdp = await context.newCDPSession(page);
  const { errors, data } = await cdp.send("Page.getAppManifest");
  assert.deepEqual(errors, []);
  const manifest = JSON.parse(data);
  assert.equal(manifest.background_color, "#000000");
  for (const icon of [...manifest.icons.map((i) => i.src), "/apple-touch-icon.png"]) {
    const size = await page.evaluate(async (src) => {
      const i = new Image();
      i.src = src;
      await i.decode();
      return i.width;
    }, icon);
    assert.ok(size >= 180, icon);
  }
  // An incognito window, which a test's is, can't install by itself.
  await eventually("nothing else is in the way", async () => {
    const { installabilityErrors } = await cdp.send("Page.getInstallabilityErrors");
    assert.deepEqual(installabilityErrors.map((e) => e.errorId).filter((e) => e !== "in-incognito"), []);
    return true;
  });
  await context.close();
});
