/** Asked is a question in the message line: what a long press does, for whoever can't press long, or which of some choices. */
export interface Asked { what: string; yes?: () => void; choices?: { label: string; press: () => void }[]; from?: HTMLElement }

class Ui {
  asked = $state.raw<Asked | null>(null);
  /** link is what stood behind the # of the address that was opened: it lets this tablet in. */
  link = "";
  /** page is what is shown in place of the start. */
  page = $state<"" | "history" | "devices" | "music" | "room" | "trust">("");
  /** short is the control that was let go too early. */
  short = $state("");
}

export const ui = new Ui();
