// Every screen on a phone, in English and in German, whose words are the longest: nothing runs off the side, and nothing is too
// small to read or to hit.
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { scenes } from "./scenes.js";
import { resize, settled, speak } from "./settled.js";
import { close, pictures, show, tablet } from "./tablet.js";

after(close);
const shots = new URL("./shots/", import.meta.url);
before(() => mkdir(shots, { recursive: true }));

const sizes = [[360, 740], [390, 844]];
const words = {};
for (const l of ["en", "de"]) {
  words[l] = {};
  for (const at of ["desk/locales", "locales"]) {
    for (const [group, texts] of Object.entries(JSON.parse(await readFile(new URL(`../ui/src/${at}/${l}.json`, import.meta.url), "utf8")))) words[l][group] = { ...words[l][group], ...texts };
  }
}

/** unfit is what is wrong with the layout, in words. Runs in the page. */
function unfit() {
  const out = [];
  for (const e of [document.scrollingElement, document.querySelector("main"), ...document.querySelectorAll(".scrolls")])
    if (e.scrollWidth > Math.min(e.clientWidth, innerWidth) + 1) out.push(`${e.tagName}.${e.className} is ${e.scrollWidth} wide in ${e.clientWidth}`);
  const seen = (e) => e.getClientRects().length && !e.closest(".sr, [aria-hidden], .picture, .arc");
  for (const e of document.querySelectorAll("main :is(button, a, input, select, textarea, summary)")) {
    const r = e.getBoundingClientRect();
    if (!seen(e) || r.width === 0 || e.classList.contains("sr")) continue;
    const name = (e.getAttribute("aria-label") ?? e.innerText).replace(/\s+/g, " ").trim();
    if (r.left < 0 || r.right > innerWidth + 1) out.push(`“${name}” is off the screen`);
    if (r.width < 55.5 || r.height < 55.5) out.push(`“${name}” is ${r.width}×${r.height}`);
  }
  const texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  for (let n = texts.nextNode(); n; n = texts.nextNode()) {
    const e = n.parentElement, size = parseFloat(getComputedStyle(e).fontSize);
    if (n.data.trim() && seen(e) && size < (e.closest("pre, textarea, .log, svg") ? 16 : 20)) out.push(`“${n.data.trim().slice(0, 40)}” is ${size} px`);
  }
  return out;
}

for (const [name, scene] of Object.entries(scenes)) {
  test(`${name} on a phone`, async () => {
    const { page, context } = await tablet({ size: sizes[0] });
    const line = await show(page, scene.snap(), scene.plant);
    const wrong = [];
    for (const [language, w] of Object.entries(words)) {
      await speak(page, language);
      if (scene.then) await settled(page); // from then on taps count
      await scene.then?.(page, line, w);
      for (const [width, height] of sizes) {
        await resize(page, width, height);
        wrong.push(...(await page.evaluate(unfit)).map((what) => `${language} ${width}×${height}: ${what}`));
        if (pictures) await writeFile(new URL(`${name}-${language}-${width}x${height}.png`, shots), await page.screenshot());
      }
    }
    await context.close();
    assert.deepEqual(wrong, []);
  });
}
