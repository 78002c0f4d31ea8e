// The sheet of all keys.

import { el } from "./dom.js";

const KEYS = [
  ["Everywhere", [
    ["Space", "play or pause"], ["← →", "one second back or on; with Shift five"], ["Home End", "to the beginning or end"],
    ["+ −", "zoom in or out; also Ctrl and wheel"], ["0", "show all"], ["Page Up/Down", "a screen back or on"],
    ["L", "loop the region on or off"], ["I O", "region begins or ends at the playhead"],
    [", .", "slower or faster, 0.5 to 1.5"], ["[ ]", "more of the recording or of the notes"],
    ["C", "the page plays notes or chords"], ["Ctrl+Z", "undo"], ["Ctrl+Shift+Z", "redo"], ["Ctrl+S", "save now"],
    ["Tab", "from lane to lane"], ["D", "dark or light"], ["Alt+Home", "the library"], ["?", "this sheet"],
  ]],
  ["In the notes", [
    ["N P", "next or previous note"], ["A", "add a note at the playhead; also a double click"],
    ["↑ ↓", "move by a semitone; with Shift an octave"], ["Alt+← →", "move in time"], ["Alt+Shift+← →", "shorten or lengthen"],
    ["Delete", "delete"], ["Esc", "choose none"], ["Drag", "moves a note; at its end, resizes it"],
  ]],
  ["In chords and sections", [
    ["N P", "next or previous, and hear it"], ["Enter", "rename; also a double click"], ["S", "split at the playhead"],
    ["J", "join with the next"], ["Drag", "moves a boundary"],
  ]],
];

/** Show the sheet, or put it away. */
export function toggleHelp() {
  const dialog = document.getElementById("help");
  if (dialog.open) {
    dialog.close();
    return;
  }
  if (!dialog.firstChild) {
    for (const [title, keys] of KEYS) {
      const rows = keys.map(([key, does]) =>
        el("div", {}, el("dt", {}, ...key.split(" ").map((part) => el("kbd", { text: part }))), el("dd", { text: does })));
      dialog.append(el("h2", { text: title }), el("dl", { class: "keys" }, ...rows));
    }
    dialog.append(el("button", { type: "button", text: "Close", on: { click: () => dialog.close() } }));
  }
  dialog.showModal();
}
