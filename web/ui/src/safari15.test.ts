import { expect, test } from "vitest";
import { withHeights, wrapFields } from "../safari15";

test.each([
  ["class A{#a=f(()=>b)}", "class A{#a=(()=>f(()=>b))()}"],
  ["class A{a=(b,c)}", "class A{a=(()=>(b,c))()}"],
  ["class A{a=new B;b=f(1);c=()=>d;d=function(){return(e)}}", ""],
  ["class A{a=f(()=>{class B{b=g(()=>c)}})}", "class A{a=(()=>f(()=>{class B{b=(()=>g(()=>c))()}}))()}"],
])("%s", (code, want) => {
  expect(wrapFields(code)).toBe(want || code);
});

test("what is built has no class field that Safari 15 breaks", () => {
  const built = import.meta.glob<string>("../dist/assets/*.js", { query: "?raw", import: "default", eager: true });
  expect(Object.keys(built).length).toBeGreaterThan(5);
  for (const [file, code] of Object.entries(built)) expect(wrapFields(code), file).toBe(code);
});

test("a height in dvh has one in vh before it", () => {
  expect(withHeights("a{color:red;height:calc(100dvh - 1px)}")).toBe("a{color:red;height:calc(100vh - 1px);height:calc(100dvh - 1px)}");
  expect(withHeights("a { max-height: 45vh; }")).toBe("a { max-height: 45vh; }");
});

// What Safari 15.0 does not know, and leaves out with the whole declaration or rule.
const unknown = [/:has\(/, /@container|container-type/, /color-mix\(|oklch\(|oklab\(/, /@layer/, /\d(?:svh|lvh|svw|lvw|dvw|cqw|cqh)/, /[{;](?:translate|scale|rotate):/, /text-wrap/, /@property/, /subgrid/, /[{};]&/];

test("what is built has no style that Safari 15 leaves out", () => {
  const built = import.meta.glob<string>("../dist/assets/*.css", { query: "?raw", import: "default", eager: true });
  expect(Object.keys(built).length).toBeGreaterThan(3);
  for (const [file, css] of Object.entries(built)) {
    for (const what of unknown) expect(what.exec(css)?.[0], `${file}: ${what}`).toBeUndefined();
    for (const [, body] of css.matchAll(/{([^{}]*)}/g)) {
      for (const [, property, value] of body!.matchAll(/(?:^|;)([\w-]+):([^;]*dvh[^;]*)/g)) expect(`;${body};`, file).toContain(`;${property}:${value!.replaceAll("dvh", "vh")};`);
    }
  }
});

test("a browser that can't run the page says so, without a script", () => {
  const [html] = Object.values(import.meta.glob<string>("../dist/index.html", { query: "?raw", import: "default", eager: true }));
  expect(html).toMatch(/<div id="app">[\s\S]*iPadOS 15[\s\S]*<\/div>/);
  expect(html).not.toMatch(/<script(?![^>]*src=)|style=|onerror/);
});

test("what is only for development is not built", () => {
  const built = Object.keys(import.meta.glob("../dist/**", { query: "?url" }));
  expect(built.filter((f) => /design/i.test(f))).toEqual([]);
  const code = import.meta.glob<string>("../dist/assets/*.js", { query: "?raw", import: "default", eager: true });
  expect(Object.entries(code).filter(([, c]) => c.includes("Every component in every state")).map(([f]) => f)).toEqual([]);
});
