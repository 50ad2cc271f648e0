import { expect, test } from "vitest";

const sources = import.meta.glob<string>(["../*.svelte", "../setup/*.svelte"], { query: "?raw", import: "default", eager: true });
const [design] = Object.values(import.meta.glob<string>("./Design.svelte", { query: "?raw", import: "default", eager: true }));
const listed = Object.values(import.meta.glob<string>(["../screens.ts", "../aside.ts", "../desk/index.ts", "../App.svelte"], { query: "?raw", import: "default", eager: true })).join("\n");

test("every component is on the page of the design, or is a screen by itself", () => {
  const names = Object.keys(sources).map((f) => f.slice(3));
  expect(names.length).toBeGreaterThan(15);
  const screens = names.filter((n) => listed.includes(`"./${n}"`));
  // A summary reads a record from a room: it is shown by the screens that are.
  expect(names.filter((n) => !design!.includes(`"../${n}"`) && !screens.includes(n) && n !== "Summary.svelte")).toEqual(["App.svelte", "Wall.svelte", "setup/Part.svelte"]); // the last is the walk's frame
});
