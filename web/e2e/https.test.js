// Over https, in a browser that trusts the room's authority, and in one that does not.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { light } from "./png.js";
import { eventually, freePort, room } from "./room.js";
import { tapped } from "./settled.js";
import { close, options, tablet } from "./tablet.js";

const run = promisify(execFile);
const foreign = "bank.example";
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
  const { args, ...more } = options({ whole: true });
  const browser = await chromium.launch({ ...more, args: args.map((a) => a.replace("room.local 127.0.0.1", `$&, MAP ${foreign} 127.0.0.1`)), env: { ...process.env, HOME: home } });
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
  const way = page.getByRole("button", { name: "Make it private" });
  await way.waitFor();
  await tapped(way);
  await page.getByText("Not trusted yet").waitFor();
  await page.getByText("Before you trust it, compare").waitFor();
  const { fingerprint } = await (await fetch(willow.url.replace("room.local", "127.0.0.1") + "/api/v1/trust")).json();
  assert.equal(fingerprint.length, 95);
  assert.ok(!(await page.locator("body").innerText()).replaceAll(":", "").includes(fingerprint.replaceAll(":", "")), "the page shows an answer of its own");
  assert.equal(await page.getByRole("button", { name: "Go on privately" }).getAttribute("aria-disabled"), "true");
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Load the certificate" }).click()]);
  assert.equal(file.suggestedFilename(), "room.crt");
  assert.deepEqual(faults.filter((f) => !/ERR_CERT/.test(f)), []);
  await context.close();
});

test("who trusts it goes over, stays signed in, is kept awake, and keeps the page in an outage", async () => {
  const { page, context } = await trusting();
  await page.goto(willow.url + (await willow.pair()).link);
  await page.locator(".cards .row").first().waitFor();
  await tapped(page.getByRole("button", { name: "Devices" }));
  await tapped(page.getByRole("button", { name: "Make it private" }));
  await page.getByText("This tablet trusts the room").waitFor();
  await tapped(page.getByRole("button", { name: "Go on privately" }));
  await page.waitForURL(secure + "/");
  await page.locator(".cards .row").first().waitFor();
  await tapped(page.getByRole("button", { name: "Screen" }));
  await page.getByText("Screen stays awake").waitFor();
  await eventually("there is a service worker", () => page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.active?.state === "activated"));
  await eventually("the page is kept", () => page.evaluate(async () => (await Promise.all((await caches.keys()).map(async (k) => (await (await caches.open(k)).keys()).length)))[0] > 5));
  const kept = await page.evaluate(async () => (await Promise.all((await caches.keys()).map(async (k) => (await (await caches.open(k)).keys()).map((r) => new URL(r.url).pathname)))).flat());
  assert.deepEqual(kept.filter((p) => p !== "/" && !p.startsWith("/assets/")), [], "nothing of the room is kept");

  await willow.kill();
  await page.reload({ waitUntil: "commit" });
  await page.getByText("Looking for the room").waitFor();
  assert.ok(light(await page.screenshot()).y <= 1.5);
  await willow.start();
  await page.locator(".cards .row").first().waitFor();
  await context.close();
});

test("a link whose fingerprint is another than the room's certificate has stops at that", async () => {
  const { page, context } = await tablet();
  const [link, fingerprint] = (await willow.pair()).link.split(".");
  await page.goto(`${willow.url}${link}.${fingerprint.replace(/[0-9A-F]/g, "0")}`);
  await page.locator(".cards .row").first().waitFor();
  await tapped(page.getByRole("button", { name: "Devices" }));
  await tapped(page.getByRole("button", { name: "Make it private" }));
  await page.getByText("Stop. The room’s computer showed another certificate").waitFor();
  assert.equal(await page.getByRole("link", { name: "Load the certificate" }).count(), 0);
  assert.equal(await page.getByRole("button", { name: "Go on privately" }).getAttribute("aria-disabled"), "true");
  await context.close();
});

test("paired over https, the cookie is for https alone", async () => {
  const { page, context } = await trusting();
  const sockets = [];
  page.on("websocket", (ws) => sockets.push(ws));
  await page.goto(secure + (await willow.pair()).link);
  await page.locator(".cards .row").first().waitFor();
  await eventually("a websocket is open", () => sockets.some((ws) => !ws.isClosed()));
  assert.deepEqual(sockets.map((ws) => ws.url()).filter((u) => u !== `${secure.replace("https", "wss")}/ws`), []);
  const [cookie] = await context.cookies();
  assert.ok(cookie.secure && cookie.httpOnly);
  assert.equal(await page.getByRole("button", { name: "Make it private" }).count(), 0);
  await page.goto(willow.url);
  await page.getByText("does not belong").waitFor();
  await context.close();
});

/** forged is a server elsewhere, with a certificate for a name that the room's stolen key signed. */
async function forged(name) {
  const at = (f) => join(home, `${name}.${f}`), authority = join(willow.data, "tls", "authority.pem");
  await writeFile(at("ext"), `subjectAltName=DNS:${name}\nextendedKeyUsage=serverAuth\nkeyUsage=digitalSignature\n`);
  await run("openssl", ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", at("key"), "-subj", `/CN=${name}`, "-out", at("csr")]);
  await run("openssl", ["x509", "-req", "-in", at("csr"), "-CA", authority, "-CAkey", authority, "-set_serial", "7", "-days", "30", "-extfile", at("ext"), "-out", at("crt")]);
  const server = createServer({ cert: await readFile(at("crt")), key: await readFile(at("key")) }, (_, res) => res.end("hello"));
  await new Promise((ok) => server.listen(0, "127.0.0.1", ok));
  return server;
}

test("whoever steals the room's key is the room to a browser that trusts it, and nobody else", async () => {
  const { page, context } = await trusting();
  for (const name of ["room.local", foreign]) {
    const server = await forged(name);
    try {
      const visit = page.goto(`https://${name}:${server.address().port}/`);
      if (name === foreign) await assert.rejects(visit, /ERR_CERT/);
      else assert.ok((await visit).ok());
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }
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
