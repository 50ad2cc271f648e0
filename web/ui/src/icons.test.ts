import { expect, test } from "vitest";
import { path } from "../icons";

const svg = (shapes: string) => `<!-- @license -->\n<svg\n  class="lucide"\n>\n  ${shapes}\n</svg>`;

test.each([
  ["a path", '<path d="M9 14 4 9l5-5" />  <path d="m5 5 4 4" />', "M9 14 4 9l5-5M0 0m5 5 4 4"],
  ["a circle", '<circle cx="11" cy="11" r="8" />', "M3 11a8 8 0 0 1 16 0a8 8 0 0 1 -16 0"],
  ["a line", '<line x1="10" x2="14" y1="2" y2="3" />', "M10 2L14 3"],
  ["a square", '<rect width="18" height="16" x="3" y="4" rx="2" />', "M5 4h14a2 2 0 0 1 2 2v12a2 2 0 0 1 -2 2h-14a2 2 0 0 1 -2 -2v-12a2 2 0 0 1 2 -2z"],
])("%s of an icon is drawn as a path", (_, shapes, want) => {
  expect(path(svg(shapes))).toBe(want);
});

test("a shape that is not known is no half of an icon", () => {
  expect(() => path(svg('<path d="M1 1" /><ellipse cx="1" />'))).toThrow("not known");
});
