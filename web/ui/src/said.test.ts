import { beforeAll, expect, test, vi } from "vitest";
import { refusal, said, todo, whole } from "./said";
import { names, words, type Language } from "./texts.svelte";

beforeAll(() => {
  vi.stubGlobal("document", { documentElement: { lang: "" } });
  vi.stubGlobal("localStorage", { getItem: () => null, setItem: () => {} });
});

test("in English the room's own sentence stands", async () => {
  await words.choose("en");
  expect(said({ code: "sound-missing" }, "The sound device is missing.")).toBe("The sound device is missing.");
  expect(todo({ code: "sound-missing" }, "Check it.")).toBe("Check it.");
  expect(whole({ code: "sound-missing" }, "Both.")).toBe("Both.");
});

test.each(Object.keys(names).filter((l) => l !== "en") as Language[])("%s says it in its own words", async (l) => {
  await words.choose(l);
  const s = said({ code: "did-extend", args: { phase: "Journey", by_ms: 300_000 } }, "fallback");
  expect(s).toContain("Journey");
  expect(s).toContain("5 min");
  expect(said({ code: "sound-missing" }, "fallback")).not.toBe("fallback");
  expect(todo({ code: "sound-missing" }, "fallback")).not.toBe("fallback");
});

test("durations, dates and sentences in sentences", async () => {
  await words.choose("de");
  expect(said({ code: "given-already", args: { mark: "Lozenge", ago_ms: 26_000 } }, "")).toContain("vor 26 s notiert");
  expect(said({ code: "did-extend", args: { phase: "Journey", by_ms: 90_000 } }, "")).toBe("Journey um 1 min 30 s verlängert");
  expect(said({ code: "certificate-ended", args: { since_date: "2026-11-03", file: "x" } }, "")).toBe("Das Zertifikat in der Raumdatei ist am 3. November 2026 abgelaufen.");
  expect(said({ code: "undo-order", args: { says: { code: "did-hold", args: { phase: "Journey" } } } }, "")).toBe("Nehmen Sie zuerst „Bleibt in Journey“ zurück.");
  expect(whole({ code: "lamps-lost", args: { role: "ambient", lamps: "a" } }, "")).toBe("Das Licht „Raumlicht“ antwortet nicht: a. Prüfen Sie, ob es Strom hat und der Wandschalter an ist.");
});

test("a role has the page's word in every sentence, and the file's in a command", async () => {
  const one = (role: string) => ({ code: "setup-overlap", args: { topic: "zigbee2mqtt/ambient", role } });
  await words.choose("de");
  await words.desk();
  expect(said(one("ambient"), "")).toBe("zigbee2mqtt/ambient gehört schon zu „Raumlicht“, allein oder in einer Gruppe.");
  expect(said(one("shelf"), "")).toContain("„shelf“");
  expect(said({ code: "setup-group", args: { role: "accent" } }, "")).toBe("zigbee2mqtt konnte keine Gruppe für „Kleines Licht“ bilden.");
  expect(said({ code: "look-held", args: { role: "accent" } }, "")).toContain("„Kleines Licht“");
  const unknown = { code: "doc-light-unknown", args: { role: "ambient", name: "ambient" } };
  expect([said(unknown, ""), todo(unknown, "").includes("roomd lights test ambient")]).toEqual(["Das Licht „Raumlicht“ hat seinen Zustand noch nicht gemeldet.", true]);
  await words.choose("en");
  expect(whole(one("ambient"), "zigbee2mqtt/ambient already belongs to “ambient”, alone or in a group.")).toBe("zigbee2mqtt/ambient already belongs to “Room light”, alone or in a group.");
  expect(said({ code: "look-held", args: { role: "accent" } }, "The light “accent” was changed by hand.")).toBe("The light “Small light” was changed by hand.");
  expect(todo(unknown, "Test it with roomd lights test ambient.")).toBe("Test it with roomd lights test ambient.");
});

const sentences = Object.values(import.meta.glob<Record<string, string>>(["../../../room/english.json", "./said/*.json", "./desk/said/*.json"], { import: "default", eager: true }));

test("a role stands in quotation marks wherever a sentence names it: so the page finds it, and its words read as a name", () => {
  const roles = sentences.flatMap((s) => Object.values(s)).filter((text) => text.includes("{role}"));
  expect(roles.length).toBeGreaterThan(40);
  expect(roles.filter((text) => !/[“„‘«]\s?{role}\s?[”“’»]/.test(text))).toEqual([]);
});

test("what a newer room says stands in English", async () => {
  await words.choose("de");
  expect(said({ code: "unheard-of" }, "fallback")).toBe("fallback");
  expect(said({ code: "did-extend", args: { phase: "Journey" } }, "fallback")).toBe("fallback"); // an argument is missing
  expect(said({ code: "did-extend", args: { phase: "Journey", by_ms: 1, says: { code: "unheard-of" } } }, "fallback")).not.toBe("fallback");
  expect(said({ code: "undo-order", args: { says: { code: "unheard-of" } } }, "fallback")).toBe("fallback");
  expect(said({}, "fallback")).toBe("fallback");
  expect(whole({ code: "playlist-more", args: { name: "3" } }, "")).toBe("3 weitere Hinweise.");
});

const sources = import.meta.glob<string>(["./**/*.svelte", "./**/*.ts", "!./**/*.test.ts", "!./api.gen.ts"], { query: "?raw", import: "default", eager: true });

test("why the room refuses something is said by its code; its English stands for who has no other", async () => {
  await words.choose("fr");
  await words.desk();
  expect(refusal({ reason: "The file is empty. Choose another.", code: "upload-empty" })).toBe("Le fichier est vide. Choisissez-en un autre.");
  expect(refusal({ reason: "The role is not known." })).toBe("The role is not known.");
  expect([refusal({}), refusal(null)]).toEqual(["", ""]);
  // An item of what is brought keeps its own reason, which is one by then; the line hands a nack on.
  const raw = Object.keys(sources).filter((f) => /\b(?:body|fault|told|why|r|answer)\w*\??\.reason\b/.test(sources[f]!));
  expect(raw.sort()).toEqual(["./room.svelte.ts", "./said.ts"]);
});
