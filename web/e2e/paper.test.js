// The page for the therapist: one sheet in each of its languages, in the words of the tablet.
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import test, { after } from "node:test";
import { close, launch } from "./tablet.js";

const root = new URL("../../", import.meta.url);
const text = (path) => readFile(new URL(path, root), "utf8");
const controls = (html) => [...html.matchAll(/<b>([^<]*)<\/b>/g)].map((m) => m[1]);
/** labels is each text of a language's page under its name, as "key.stay". */
const labels = async (language) => {
  const all = {};
  const walk = (v, path) => (typeof v === "string" ? (all[path.join(".")] = v) : Object.entries(v).forEach(([k, w]) => walk(w, [...path, k])));
  walk(JSON.parse(await text(`web/ui/src/locales/${language}.json`)), []);
  return all;
};

after(close);

for (const [language, name] of [["en", "therapist"], ["de", "therapist.de"]]) {
  const html = await text(`docs/${name}.html`);

  test(`${name}.html is one sheet of paper, A4 and Letter`, async () => {
    const page = await (await launch()).newPage();
    await page.setContent(html);
    for (const format of ["Letter", "A4"]) {
      const pdf = await page.pdf({ format });
      assert.equal((pdf.toString("latin1").match(/\/Type\s*\/Page\b/g) ?? []).length, 1, format);
      await mkdir(new URL("bin/", root), { recursive: true });
      await writeFile(new URL(`bin/${name}.pdf`, root), pdf);
    }
    await page.close();
  });

  test(`${name}.html names the tablet's controls as the tablet does`, async () => {
    const words = new Set(Object.values(await labels(language)));
    const named = controls(html);
    assert.ok(named.length > 15);
    assert.deepEqual(named.filter((n) => !words.has(n)), []);
    assert.match(html, new RegExp(`<html lang="${language}">`));
  });
}

test("both sheets name the same controls, in the same order", async () => {
  const [en, de] = [await labels("en"), await labels("de")];
  const german = controls(await text("docs/therapist.de.html"));
  controls(await text("docs/therapist.html")).forEach((name, i) => {
    const same = Object.keys(en).filter((k) => en[k] === name).map((k) => de[k]);
    assert.ok(same.includes(german[i]), `${name}: ${german[i]}`);
  });
});
