// Keys of a keyboard. Each control names its own (aria-keyshortcuts); so the list of them is what the screen shows.
import { ui } from "./ui.svelte";

export interface Shortcut { key: string; name: string }

const named: Record<string, string> = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→" };

/** shortcuts are those of the controls on the screen. */
export function shortcuts(): Shortcut[] {
  return [...document.querySelectorAll<HTMLElement>("[aria-keyshortcuts]")].map((e) => ({
    key: named[e.getAttribute("aria-keyshortcuts")!] ?? e.getAttribute("aria-keyshortcuts")!.toUpperCase(),
    name: e.getAttribute("aria-label") ?? e.querySelector(".label")?.textContent ?? "",
  }));
}

/** onKey presses the control that has the key. A question is answered with yes by the key that asked it. */
export function onKey(e: KeyboardEvent): void {
  if (e.ctrlKey || e.metaKey || e.altKey || e.repeat || (e.target as HTMLElement).closest("input, textarea, select")) return;
  if (ui.asked?.yes && ui.asked.hot === e.key) {
    e.preventDefault();
    return ui.answer(ui.asked.yes);
  }
  const control = document.querySelector<HTMLElement>(`[aria-keyshortcuts="${CSS.escape(e.key)}"]`);
  if (!control) return;
  e.preventDefault();
  control.click();
}
