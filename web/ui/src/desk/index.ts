// What is done at a desk, before anybody lies down: fetched when it is opened, with its own words.
import { words } from "../texts.svelte";
export { default as music } from "./Music.svelte";
export { default as room } from "./Room.svelte";
export { default as walk } from "../setup/Walk.svelte";

await words.desk();
