// The page: which view is open, what all views share, keys.

import { ask, watch } from "./api.js";
import { banner, el } from "./dom.js";
import { toggleHelp } from "./help.js";
import { LibraryView } from "./library.js";
import { startTheme, toggleTheme } from "./theme.js";
import { TrackView } from "./track.js";

const place = document.getElementById("view");
let studio = null;
let view = null;
let jobs = [];

/** Show a recording, or the library for an empty id. The address follows, so that reload and back work. */
function go(id) {
  if (location.hash.slice(1) === id) show();
  else location.hash = id;
}

async function show() {
  const id = location.hash.slice(1);
  view?.close();
  banner("");
  document.getElementById("saved").textContent = "";
  view = id ? new TrackView(studio, id, jobs) : new LibraryView(jobs, go);
  const mine = view;
  place.replaceChildren(view.node);
  place.focus();
  try {
    await view.open();
  } catch (error) {
    if (view !== mine) return;
    banner(error.message);
    if (error.status === 404 || error.status === 422) {
      place.replaceChildren(el("p", { class: "waiting" }, el("span", { text: error.message }),
        el("button", { type: "button", text: "To the library", on: { click: () => go("") } })));
    }
  }
}

function onLine(up) {
  if (up) {
    banner("");
    view?.reconnect();
  } else {
    banner("The studio is not answering. Edits are kept in this page; it goes on when the studio is started again.");
  }
}

function onKey(event) {
  const { target } = event;
  const typing = target.matches("input:not([type=range],[type=checkbox]), select, dialog *");
  const pressing = target.matches("button, a, label") && (event.key === " " || event.key === "Enter");
  const sliding = target.matches("input[type=range]") && /^(Arrow|Home|End|Page)/.test(event.key);
  const checking = target.matches("input[type=checkbox]") && event.key === " ";
  if (event.key === "?" && !typing) toggleHelp();
  else if (typing || pressing || sliding || checking) return;
  else if (event.key === "d" && !event.ctrlKey && !event.metaKey) toggleTheme();
  else if (event.altKey && event.key === "Home") go("");
  else if (!view?.key(event)) return;
  event.preventDefault();
}

startTheme();
document.getElementById("home").addEventListener("click", () => go(""));
document.getElementById("theme").addEventListener("click", toggleTheme);
document.getElementById("show-help").addEventListener("click", toggleHelp);
document.addEventListener("keydown", onKey);
window.addEventListener("hashchange", show);

try {
  studio = await ask("studio");
  if (studio.note) banner(studio.note);
  watch((now) => {
    jobs = now;
    view?.onJobs(now);
  }, onLine);
  await show();
} catch (error) {
  banner(error.message);
}
