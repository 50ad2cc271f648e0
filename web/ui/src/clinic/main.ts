import i18next from "i18next";
import { mount } from "svelte";
import "../app.css";
import { room } from "../room.svelte";
import { screen } from "../screen.svelte";
import { words, type Language } from "../texts.svelte";
import { ui } from "../ui.svelte";
import Clinic from "./Clinic.svelte";
import { desk } from "./desk.svelte";
import de from "./locales/de.json";
import en from "./locales/en.json";
import es from "./locales/es.json";
import fr from "./locales/fr.json";
import nl from "./locales/nl.json";

const own: Record<Language, typeof en> = { en, de, fr, es, nl };
// The tablet's texts, and over them what is said otherwise at a desk.
i18next.on("languageChanged", (l: string) => i18next.addResourceBundle(l, "translation", own[l as Language], true, true));
screen.start();
// Without its words the page is of no use: asked for again, as when the page itself had not come.
await words.start().catch(() => new Promise(() => setTimeout(() => location.reload(), 2000)));
// A link that lets this device in: what stands behind the # is never sent, and stays in no history.
if (location.pathname === "/pair") {
  ui.link = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", "/");
}
room.live = true; // the parts that this page shares with the tablet's ask for the line to a room, and here is none
const target = document.getElementById("app")!;
target.textContent = ""; // what stands there for a browser that can't run this
if (ui.link) desk.out = true;
else desk.start();
mount(Clinic, { target });
