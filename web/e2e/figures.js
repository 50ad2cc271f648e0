// What the page costs: node figures.js, on a quiet machine. First paint with the processor slowed down fourfold, from a real
// room; and the share of a core that the page takes while a session runs and nobody touches it.
import { room } from "./room.js";
import { close, tablet } from "./tablet.js";

const willow = await room();
try {
  const { page, context } = await tablet();
  await page.goto(willow.url + (await willow.pair()).link);
  await page.locator(".cards .row").first().waitFor();
  const cdp = await context.newCDPSession(page);
  const paints = [];
  for (let i = 0; i < 5; i++) {
    await cdp.send("Network.enable");
    await cdp.send("Network.clearBrowserCache");
    await cdp.send("Emulation.setCPUThrottlingRate", { rate: 4 });
    await page.reload();
    await page.locator(".cards .row").first().waitFor();
    paints.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime));
  }
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: 1 });
  console.log(`first contentful paint at a quarter of the speed, five cold loads: ${paints.map((p) => p.toFixed(0)).join(", ")} ms`);
  await willow.command({ do: "start", playlist: "short" });
  await page.locator(".elapsed").waitFor();
  await page.waitForTimeout(3000);
  await cdp.send("Performance.enable");
  const busy = async () => Object.fromEntries((await cdp.send("Performance.getMetrics")).metrics.map((m) => [m.name, m.value]));
  const a = await busy();
  await page.waitForTimeout(20_000);
  const b = await busy();
  const of = b.Timestamp - a.Timestamp;
  console.log(`at rest in a session: ${(((b.TaskDuration - a.TaskDuration) / of) * 100).toFixed(2)} % of a core in the page's main thread, ${((b.LayoutCount - a.LayoutCount) / of).toFixed(1)} layouts a second`);
  await context.close();
} finally {
  await close();
  await willow.close();
}
