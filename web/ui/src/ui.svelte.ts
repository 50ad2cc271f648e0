/** Asked is a question in the message line: what a long press does, for who can't press long. */
export interface Asked { what: string; yes: () => void; from: HTMLElement }

class Ui {
  asked = $state.raw<Asked | null>(null);
  /** short is the control that was let go too early. */
  short = $state("");
}

export const ui = new Ui();
