// What this tablet's own screen does: its colours, its dimmer, its curtain, and whether it stays awake.

import { kept } from "./kept";

export type Palette = "amber" | "red" | "neutral";
export const palettes: Palette[] = ["amber", "red", "neutral"];
const dims = 5;

class Screen {
  palette = $state<Palette>("amber");
  /** dim is 0 for as bright as the page gets, up to 4 for a fifth of it. */
  dim = $state(0);
  black = $state(false);
  awake = $state<"on" | "http" | "unsupported" | "refused" | "hidden">("hidden");

  private lock: WakeLockSentinel | null = null;

  start(): void {
    const p = kept("palette") as Palette;
    if (palettes.includes(p)) this.palette = p;
    this.dim = Math.min(dims - 1, Math.max(0, Number(kept("dim")) || 0));
    this.show();
    document.addEventListener("visibilitychange", () => void this.keepAwake());
    // Some tablets grant it only after a touch, or again after they refused.
    addEventListener("pointerup", () => { if (this.awake !== "on") void this.keepAwake(); });
    void this.keepAwake();
  }

  choose(p: Palette): void {
    this.palette = p;
    localStorage.setItem("palette", p);
    this.show();
  }

  step(by: 1 | -1): void {
    this.dim = Math.min(dims - 1, Math.max(0, this.dim + by));
    localStorage.setItem("dim", String(this.dim));
    this.show();
  }

  get darkest(): boolean {
    return this.dim === dims - 1;
  }

  private show(): void {
    document.documentElement.dataset.palette = this.palette;
    document.documentElement.dataset.dim = String(this.dim);
  }

  private async keepAwake(): Promise<void> {
    if (!isSecureContext) this.awake = "http";
    else if (!("wakeLock" in navigator)) this.awake = "unsupported";
    else if (document.hidden) this.awake = "hidden";
    else if (!this.lock || this.lock.released) {
      try {
        this.lock = await navigator.wakeLock.request("screen");
        this.lock.addEventListener("release", () => (this.awake = "hidden"));
        this.awake = "on";
      } catch {
        this.awake = "refused";
      }
    }
  }
}

export const screen = new Screen();
