import { mount } from "svelte";
import "./app.css";
import App from "./App.svelte";
import { room } from "./room.svelte";
import { screen } from "./screen.svelte";
import { words } from "./texts.svelte";

screen.start();
// Without its words the page is of no use: asked for again, as when the page itself had not come.
await words.start().catch(() => new Promise(() => setTimeout(() => location.reload(), 2000)));
room.start();
mount(App, { target: document.getElementById("app")! });
