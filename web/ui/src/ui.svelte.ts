/** Asked is a question in the message line: what a press does, for whoever can't press, or which of some choices. */
export interface Asked {
  what: string;
  yes?: () => void;
  choices?: { label: string; hold?: boolean; press: () => void }[];
  from?: HTMLElement;
  /** the key on the keyboard that has asked: pressed again it says yes */
  hot?: string;
}

class Ui {
  asked = $state.raw<Asked | null>(null);
  /** link is what stood behind the # of the address that was opened: it lets this tablet in. */
  link = "";
  /** page is the screen that is shown in place of the start; "": the start. */
  page = $state("");
  /** home is the screen that a screen leads back to; "": the start. */
  home = "";
  /** walked is true once the room was asked whether it is fresh. */
  walked = false;
  /** short is the key that was let go too early. */
  short = $state("");

  /** answer closes the question. */
  answer(then?: () => void): void {
    const a = this.asked;
    this.asked = null;
    a?.from?.focus();
    then?.();
  }
}

export const ui = new Ui();
