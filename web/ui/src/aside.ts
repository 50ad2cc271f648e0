// What is not needed in a session, fetched when it is opened.
export { default as after } from "./After.svelte";
export { default as devices } from "./Devices.svelte";
export { default as history } from "./History.svelte";
export { default as pair } from "./Pair.svelte";
export { default as trust } from "./Trust.svelte";
