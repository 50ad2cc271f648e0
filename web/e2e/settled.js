/** settled waits until a tap counts: 400 ms after the tap before it and after the screen last changed, however slow the computer is. */
export async function settled(page) {
  await page.waitForTimeout(420);
  const wait = () => page.evaluate(() => 410 - performance.now() + (performance.getEntriesByName("screen changed").at(-1)?.startTime ?? -1000));
  for (let ms = await wait(); ms > 0; ms = await wait()) await page.waitForTimeout(ms);
}

/**
 * tapped taps a control as a person does: again, where the page took the finger for one that bounced or was on its way
 * when the screen changed. A control that never takes a tap is a fault.
 */
export async function tapped(control) {
  const page = control.page();
  const refused = () => page.evaluate(() => performance.getEntriesByName("tap refused").length).catch(() => 0); // a page that is left has no marks
  for (let tries = 0; tries < 5; tries++) {
    await control.waitFor();
    const before = await refused();
    await control.click();
    if ((await refused()) <= before) return;
    await settled(page);
  }
  throw new Error(`${control} refused five taps`);
}

/** speak has the page in another language. */
export async function speak(page, language) {
  await page.evaluate((l) => {
    localStorage.setItem("lang", l);
    dispatchEvent(new Event("languagechange"));
  }, language);
  await page.locator(`html[lang=${language}]`).waitFor();
}

/** flipping watches the clock for 4.2 s: when it showed what, and the longest time for which the computer let the page do nothing, in ms.
 * Runs in the page. */
export async function flipping() {
  const shown = () => document.querySelector(".elapsed")?.textContent, flips = [];
  let stood = 0, last = performance.now(), was = shown();
  setInterval(() => {
    stood = Math.max(stood, performance.now() - last - 20);
    last = performance.now();
  }, 20);
  new MutationObserver(() => {
    if (shown() === was) return;
    was = shown();
    flips.push([performance.timeOrigin + performance.now(), was ?? document.body.innerText]);
  }).observe(document.body, { subtree: true, characterData: true, childList: true });
  await new Promise((ok) => setTimeout(ok, 4200));
  return { flips, stood };
}

/** resize waits until a frame was drawn in the new size: what measures itself does so then. */
export async function resize(page, width, height) {
  await page.setViewportSize({ width, height });
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
}
