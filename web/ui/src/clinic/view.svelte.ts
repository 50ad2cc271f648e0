/** view is what the grid shows of the rooms; it stays while one of them is looked at. */
export const view = $state({ typed: "", house: "", older: false });
