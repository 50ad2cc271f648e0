// What a session does not need, or only by a tap that asks the room anyway; fetched when it is opened, with the desk's words.
import { words } from "./texts.svelte";
export { default as after } from "./After.svelte";
export { default as change } from "./Change.svelte";
export { default as devices } from "./Devices.svelte";
export { default as history } from "./History.svelte";
export { default as pair } from "./Pair.svelte";
export { default as trust } from "./Trust.svelte";

await words.desk();
