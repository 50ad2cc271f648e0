// Every word on the page, in each of its languages, is in locales/. What the room itself says (problems, reasons, undo)
// comes from the room in English, and is in said/ in the other languages (see said.ts). What only the desk shows is in desk/, so
// that no session fetches it.
import i18next, { type ParseKeys } from "i18next";
import type clinicEn from "./clinic/locales/en.json";
import type deskEn from "./desk/locales/en.json";
import { kept } from "./kept";
import type en from "./locales/en.json";

declare module "i18next" {
  interface CustomTypeOptions {
    resources: { translation: typeof en & typeof deskEn & typeof clinicEn };
  }
}

/** names is each language by its own name, in the order in which its key steps through them. */
export const names = { en: "English", de: "Deutsch", fr: "Français", es: "Español", nl: "Nederlands" };
export type Language = keyof typeof names;

const files = import.meta.glob<typeof en>("./locales/*.json", { import: "default" });
const atDesk = import.meta.glob<typeof deskEn>("./desk/locales/*.json", { import: "default" });
const saidIn = import.meta.glob<Record<string, string>>("./said/*.json", { import: "default" }); // English is the room's own
const saidAtDesk = import.meta.glob<Record<string, string>>("./desk/said/*.json", { import: "default" });
const of = (tag: string): Language | undefined => (Object.keys(names) as Language[]).find((l) => l === tag.slice(0, 2).toLowerCase());

class Words {
  language = $state<Language>("en");
  private all = false; // with what is said at the desk

  constructor() {
    void i18next.init({
      initAsync: false,
      resources: {},
      fallbackLng: false, // a test holds that no file lacks a text
      nsSeparator: false,
      interpolation: { escapeValue: false }, // Svelte does
    });
    i18next.services.formatter!.add("lower", (what: string) => what.toLowerCase());
  }

  /** start shows the language that was chosen for this page, or the first of the tablet's own that we have. */
  async start(): Promise<void> {
    addEventListener("languagechange", () => void this.own().catch(() => {}));
    await this.own();
  }

  private async own(): Promise<void> {
    await this.show([kept("lang") ?? "", ...navigator.languages].map(of).find(Boolean) ?? "en");
  }

  /** desk fetches what is said at the desk too, for each language that is shown from now on. */
  async desk(): Promise<void> {
    this.all = true;
    await this.show(this.language);
  }

  async choose(l: Language): Promise<void> {
    await this.show(l);
    localStorage.setItem("lang", l);
  }

  /** show fetches the language, which may fail: then all stays as it is. */
  private async show(l: Language): Promise<void> {
    const texts = [files[`./locales/${l}.json`]!(), ...(this.all ? [atDesk[`./desk/locales/${l}.json`]!()] : [])];
    const sentences = [saidIn[`./said/${l}.json`]?.(), ...(this.all ? [saidAtDesk[`./desk/said/${l}.json`]?.()] : [])];
    for (const some of await Promise.all(texts)) i18next.addResourceBundle(l, "translation", some, true, true);
    for (const some of await Promise.all(sentences)) if (some) i18next.addResourceBundle(l, "said", some, true, true);
    await i18next.changeLanguage(l);
    this.language = l;
    document.documentElement.lang = l;
  }
}

export const words = new Words();

/** t is the text of a key of locales/en.json, with its {{values}}. A count chooses between its _one and _other. */
export function t(key: ParseKeys, values?: Record<string, string | number>): string {
  void words.language; // what shows a text changes with the language
  return i18next.t(key, values ?? {});
}

/** word is the text for a name that the room sends, or else the name as it is. */
export function word(group: keyof typeof en | keyof typeof deskEn, name: string, otherwise = name): string {
  void words.language;
  const key = `${group}.${name}` as ParseKeys;
  return i18next.exists(key) ? i18next.t(key) : otherwise;
}
