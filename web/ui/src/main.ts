import { mount } from "svelte";
import "./app.css";
import App from "./App.svelte";
import { room } from "./room.svelte";
import { screen } from "./screen.svelte";

screen.start();
room.start();
mount(App, { target: document.getElementById("app")! });
