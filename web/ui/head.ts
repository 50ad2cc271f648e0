import type { Plugin } from "vite";

const text = `<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta name="color-scheme" content="dark">
<meta name="theme-color" content="#000000">
<meta name="format-detection" content="telephone=no">
<title>roomd</title>
<link rel="icon" href="/icon-192.png">
<link rel="apple-touch-icon" href="/apple-touch-icon.png">
<link rel="manifest" href="/manifest.webmanifest">
<meta name="apple-mobile-web-app-capable" content="yes">
<meta name="apple-mobile-web-app-status-bar-style" content="black">`;

/** head is what the room's page and the page of the clinic's desk have in common above what they show. */
export const head: Plugin = {
  name: "head",
  transformIndexHtml: { order: "pre", handler: (html) => html.replace("<!-- head -->", text) },
};
