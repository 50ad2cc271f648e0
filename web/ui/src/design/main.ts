// The page of the design, for development: npm run dev, then /design.html.
import { mount } from "svelte";
import "../app.css";
import { screen } from "../screen.svelte";
import { words } from "../texts.svelte";
import Design from "./Design.svelte";

screen.start();
await words.start();
await words.desk();
mount(Design, { target: document.getElementById("app")! });
