// The page for the therapist: one sheet, in the words of the tablet.
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import test, { after } from "node:test";
import { close, launch } from "./tablet.js";

const root = new URL("../../", import.meta.url);
const html = await readFile(new URL("docs/therapist.html", root), "utf8");

after(close);

test("the page for the therapist is one sheet of paper, A4 and Letter", async () => {
  const page = await (await launch()).newPage();
  await page.setContent(html);
  for (const format of ["Letter", "A4"]) {
    const pdf = await page.pdf({ format });
    assert.equal((pdf.toString("latin1").match(/\/Type\s*\/Page\b/g) ?? []).length, 1, format);
    await mkdir(new URL("bin/", root), { recursive: true });
    await writeFile(new URL("bin/therapist.pdf", root), pdf);
  }
  await page.close();
});

test("it names the tablet's controls as the tablet does", async () => {
  const words = new Set();
  const walk = (v) => (typeof v === "string" ? words.add(v) : Object.values(v).forEach(walk));
  walk(JSON.parse(await readFile(new URL("web/ui/src/locales/en.json", root), "utf8")));
  const named = [...html.matchAll(/<b>([^<]*)<\/b>/g)].map((m) => m[1]);
  assert.ok(named.length > 15);
  assert.deepEqual(named.filter((n) => !words.has(n)), []);
});
