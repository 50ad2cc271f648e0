import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { names, t, word, words, type Language } from "./texts.svelte";

interface Group { [key: string]: string | Group }
const files = import.meta.glob<Group>("./locales/*.json", { import: "default", eager: true });
const desk = import.meta.glob<Group>("./desk/locales/*.json", { import: "default", eager: true });
const clinic = import.meta.glob<Group>("./clinic/locales/*.json", { import: "default", eager: true }); // the page of the clinic's desk, which says some texts otherwise
const sources = Object.values(import.meta.glob<string>(["./**/*.svelte", "./**/*.ts", "!./**/*.test.ts"], { query: "?raw", import: "default", eager: true }));
const languages = Object.keys(names) as Language[];

/** flat is {"clock.since": "Since {{mark}}"} */
function flat(g: Group, before = ""): Record<string, string> {
  return Object.assign({}, ...Object.entries(g).map(([k, v]) => (typeof v === "string" ? { [before + k]: v } : flat(v, `${before}${k}.`))));
}
const texts = Object.fromEntries(languages.map((l) => [l, { ...flat(files[`./locales/${l}.json`]!), ...flat(desk[`./desk/locales/${l}.json`]!), ...flat(clinic[`./clinic/locales/${l}.json`]!) }])) as Record<Language, Record<string, string>>;
const forms = /_(zero|one|two|few|many|other)$/;
const base = (key: string) => key.replace(forms, "");
const values = (text: string) => [...text.matchAll(/{{(\w+)/g)].map((m) => m[1]!).sort();
const english = new Set(Object.keys(texts.en).map(base));

test("there is a file for each language, and no other", () => {
  expect(Object.keys(files).sort()).toEqual(languages.map((l) => `./locales/${l}.json`).sort());
  expect(Object.keys(desk).sort()).toEqual(languages.map((l) => `./desk/locales/${l}.json`).sort());
  expect(Object.keys(clinic).sort()).toEqual(languages.map((l) => `./clinic/locales/${l}.json`).sort());
});

test.each(languages)("%s: the clinic's desk says the same texts otherwise as in English, and what it says has the same {{values}}", (l) => {
  const tablet = { ...flat(files[`./locales/${l}.json`]!), ...flat(desk[`./desk/locales/${l}.json`]!) };
  const other = (of: Language) => Object.keys(flat(clinic[`./clinic/locales/${of}.json`]!)).filter((key) => key in tablet).sort();
  expect(other(l)).toEqual(["line.connecting", "line.connectingDo", "pair.asking", "pair.failed", "pair.how", "pair.noRoom", "pair.title", "tap.noAnswerSays"]);
  for (const key of other(l)) expect(values(texts[l][key]!), key).toEqual(values(tablet[key]!));
});

test("no text is in both files", () => {
  expect(Object.keys(flat(desk["./desk/locales/en.json"]!)).filter((key) => key in flat(files["./locales/en.json"]!))).toEqual([]);
});

test.each(languages)("%s has every text, and none is empty", (l) => {
  expect([...new Set(Object.keys(texts[l]).map(base))].sort()).toEqual([...english].sort());
  expect(Object.entries(texts[l]).filter(([, text]) => !text.trim())).toEqual([]);
});

test.each(languages)("%s has the same {{values}} as English", (l) => {
  for (const [key, text] of Object.entries(texts[l])) {
    const same = texts.en[key] ?? texts.en[`${base(key)}_other`]!;
    // Where the form says the number by itself, it need not be in the text.
    const uncounted = (v: string[]) => (forms.test(key) ? v.filter((x) => x !== "count") : v);
    expect(uncounted(values(text)), key).toEqual(uncounted(values(same)));
    if (/_(many|other)$/.test(key)) expect(values(text), key).toContain("count");
  }
});

test.each(languages)("%s has the forms that its numbers need", (l) => {
  const needed = new Intl.PluralRules(l).resolvedOptions().pluralCategories;
  for (const key of Object.keys(texts[l]).filter((k) => forms.test(k)).map(base)) {
    const has = Object.keys(texts[l]).filter((k) => base(k) === key && k !== `${key}_zero`).map((k) => forms.exec(k)![1]);
    expect(has.sort(), key).toEqual([...needed].sort());
  }
});

// Words that these languages share with English, without their {{values}}.
const shared: Partial<Record<Language, string[]>> = {
  de: ["Broker", "Decoder", "Integration", "Moment", "Neutral", "Phase", "Playlist", "Playlists", "Tablet", "Timer"],
  fr: ["Administration", "Broker", "Minutes", "Moment", "Note", "Page", "Phase", "Phases", "Playlist", "Playlists", "Silence", "Volume", "note", "notes", "phases", "playlist", "playlists"],
  es: ["Broker"],
  nl: ["Amber", "Broker", "Computer", "Decoder", "Details", "Moment", "Playlist", "Playlists", "Processor", "Stop", "Tablet", "Timer", "Volume", "later", "playlist", "playlists"],
};

test.each(languages.filter((l) => l !== "en"))("%s is translated, each text of it", (l) => {
  const said = (text: string) => text.replace(/{{.*?}}|^\d+ /g, "").trim();
  const same = Object.keys(texts[l]).filter((key) => texts[l][key] === texts.en[key] && /\p{L}{4}/u.test(said(texts.en[key]!)));
  expect([...new Set(same.map((key) => said(texts.en[key]!)))].sort()).toEqual(shared[l]);
});

// What a key holds, in two lines at most.
const onKeys = new Set([...sources.join("\n").matchAll(/(?<!aria-)label={(?:[^{}]*? \? )?t\("([\w.]+)"\)(?: : t\("([\w.]+)"\))?}/g)].flatMap((m) => [m[1], m[2]]).filter((k): k is string => !!k));

test.each(languages)("%s: every label fits on its key", (l) => {
  expect(onKeys.size).toBeGreaterThan(40);
  const wrong = [...onKeys].flatMap((key) => {
    const text = texts[l][key] ?? texts[l][`${key}_other`]!;
    return text.length > 28 || text.split(/[\s-]/).some((word) => word.length > 15) ? [`${key}: ${text}`] : [];
  });
  expect(wrong).toEqual([]);
});

test("every text is used, with each of its {{values}}", () => {
  const code = sources.join("\n");
  const dynamic = new Set([...code.matchAll(/\bt\(`(\w+)\.\$|\bword\("(\w+)"/g)].map((m) => m[1] ?? m[2]));
  expect(dynamic).toContain("stage");
  for (const key of english) {
    const uses = code.split(`"${key}"`).slice(1);
    if (!uses.length) expect(dynamic, `${key} is not used`).toContain(key.split(".")[0]);
    const wanted = values(texts.en[key] ?? texts.en[`${key}_other`]!);
    for (const use of uses) {
      const given = /^, {([^\n]*)/.exec(use)?.[1] ?? "";
      for (const v of wanted) expect(given, `${key} is used without ${v}`).toMatch(new RegExp(`\\b${v}\\b`));
    }
  }
});

beforeAll(() => {
  vi.stubGlobal("document", { documentElement: { lang: "" } });
  vi.stubGlobal("addEventListener", () => {});
});
afterAll(() => vi.unstubAllGlobals());

test.each([
  [null, ["pt-BR", "de-CH", "en"], "de"],
  [null, ["pt", "ja"], "en"],
  ["nl", ["de"], "nl"],
  ["xx", ["fr-CA"], "fr"],
])("chosen %s, the tablet's %s: %s", async (chosen, own, shown) => {
  vi.stubGlobal("localStorage", { getItem: () => chosen });
  vi.stubGlobal("navigator", { languages: own });
  await words.start();
  expect(words.language).toBe(shown);
  expect(document.documentElement.lang).toBe(shown);
});

test("values, numbers and names of the room", async () => {
  vi.stubGlobal("localStorage", { getItem: () => null, setItem: () => {} });
  await words.choose("en");
  await words.desk();
  expect(t("clock.since", { mark: "<Lozenge> & {{more}}" })).toBe("Since <Lozenge> & {{more}}");
  expect(t("tap.sureYes", { what: "End" })).toBe("Yes, end");
  expect([1, 2].map((count) => t("ready.lights", { count }))).toEqual(["1 light follows", "2 lights follow"]);
  expect(word("stage", "integration")).toBe("Integration");
  expect(word("stage", "a.b")).toBe("a.b");
  expect(word("ending", "ended-planned")).toBe("It ended as planned.");
  await words.choose("fr");
  expect([0, 1, 2].map((count) => t("before.broken", { count }))).toEqual(["0 playlist à corriger", "1 playlist à corriger", "2 playlists à corriger"]);
  expect(word("did", "bring-back")).toBe("Retour anticipé");
});
