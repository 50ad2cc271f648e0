import { expect, test } from "vitest";
import { wrapFields } from "../safari15";

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
