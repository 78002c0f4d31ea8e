// Dark and light: the style sheet's colours, for canvases too.

import { recall, remember } from "./dom.js";

const NAMES = [
  "ground", "raised", "sunk", "line", "grid", "text", "soft", "accent", "note", "chosen", "playhead", "loop",
  "wave", "chord", "chord-alt",
];
const listeners = [];

/** The colours in force, by name; canvases read them while drawing. */
export const colours = {};

/** Call `listener` whenever the colours change. */
export function onTheme(listener) {
  listeners.push(listener);
}

/** Whether the page is light. */
export function isLight() {
  return document.documentElement.dataset.theme === "light";
}

function apply(theme) {
  document.documentElement.dataset.theme = theme;
  const style = getComputedStyle(document.documentElement);
  for (const name of NAMES) colours[name] = style.getPropertyValue(`--${name}`).trim();
  document.getElementById("theme").textContent = theme === "light" ? "Dark" : "Light";
  for (const listener of listeners) listener();
}

/** Change over, and remember it. */
export function toggleTheme() {
  const theme = isLight() ? "dark" : "light";
  remember("mira-theme", theme);
  apply(theme);
}

/** Begin with what was chosen last, or with what the system says. */
export function startTheme() {
  const system = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  apply(recall("mira-theme", system));
}

/** Shades of the spectrogram, RGBA of 256 levels, dark where it is silent or the other way round. */
export function shades() {
  const stops = isLight()
    ? [[255, 255, 255], [250, 250, 252], [222, 224, 238], [176, 178, 212], [120, 112, 170]]
    : [[11, 14, 19], [13, 17, 26], [30, 34, 74], [86, 48, 118], [206, 112, 92]];
  const table = new Uint8ClampedArray(256 * 4);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (stops.length - 1);
    const k = Math.min(Math.floor(place), stops.length - 2);
    for (let c = 0; c < 3; c++) table[4 * i + c] = stops[k][c] + (place - k) * (stops[k + 1][c] - stops[k][c]);
    table[4 * i + 3] = 255;
  }
  return table;
}
