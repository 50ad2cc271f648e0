// What the room says (problems, reasons, undo) comes in English, with a code and arguments. The sentences of the other
// languages are in said/, by the same codes; texts.svelte.ts fetches a language's when it is shown.
import i18next from "i18next";
import { about, length } from "./format";
import type { Fault, Said } from "./protocol";
import { word, words } from "./texts.svelte";

// A role of the room's lights has a name in the room's file, "ambient", and one on the page, "Room light".

/** roleName is what the page calls a role. */
export const roleName = (role: string): string => word("place", role);

/** own is the room's own sentence, in which a role stands in quotation marks, with the page's word for it. */
function own(args: Said["args"], sentence: string): string {
  const role = args?.role;
  return typeof role === "string" ? sentence.replaceAll(`“${role}”`, `“${roleName(role)}”`) : sentence;
}

/** said is the room's sentence in the page's language; fallback is the room's own, in English. */
export function said(s: Said, fallback: string): string {
  return fill(s.code, s.args) ?? own(s.args, fallback);
}

/** todo is what to do about it, in the page's language; fallback is the room's own, in English. */
export function todo(s: Said, fallback: string): string {
  return fill(s.code && `${s.code}-do`, s.args) ?? own(s.args, fallback);
}

/** whole is both, for a light's says; fallback is the room's own, in English. */
export function whole(s: Said, fallback: string): string {
  const says = fill(s.code, s.args);
  return says === undefined ? own(s.args, fallback) : [says, todo(s, "")].filter(Boolean).join(" ");
}

/** refusal is why the room did not do what it was asked by HTTP, with what to do; "" where it does not say. */
export const refusal = (body: unknown): string => {
  const fault = (body ?? {}) as Partial<Fault>;
  return whole(fault, fault.reason ?? "");
};

/** fill is undefined where the language has no such sentence, or one with other arguments. */
function fill(code: string | undefined, args: Said["args"] = {}): string | undefined {
  const text = code && (i18next.getResource(words.language, "said", code) as string | undefined);
  if (!text) return undefined;
  let whole = true;
  const out = text.replace(/{(\w+)}/g, (_, name: string) => {
    const value = shown(args, name);
    whole &&= value !== undefined;
    return value ?? "";
  });
  return whole ? out : undefined;
}

/** shown is an argument as it is read: a duration comes as NAME_ms, a date as NAME_date, a sentence in a sentence as such, and a role by
 * the page's word for it. */
function shown(args: NonNullable<Said["args"]>, name: string): string | undefined {
  const ms = args[`${name}_ms`];
  if (typeof ms === "number") return ms < 60_000 ? about(ms / 1000) : length(ms / 1000);
  const date = args[`${name}_date`];
  if (typeof date === "string") return new Intl.DateTimeFormat(words.language, { dateStyle: "long", timeZone: "UTC" }).format(new Date(date));
  const value = args[name];
  if (name === "role" && typeof value === "string") return roleName(value);
  return typeof value === "object" ? fill(value.code, value.args) : value === undefined ? undefined : String(value);
}
