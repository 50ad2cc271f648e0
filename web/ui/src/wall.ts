// The page at /wall, fetched there alone, with the desk's words.
import { words } from "./texts.svelte";
export { default } from "./Wall.svelte";

await words.desk();
