// A control for each setting of a task; moving one decodes anew, without running the network.

import { ask } from "./api.js";
import { el } from "./dom.js";
import { tagBars } from "./lanes.js";

const STILL = 300; // milliseconds after which a slider has come to rest

export class Sliders {
  /** @param {function} onListen called with the doc when its network must run before sliders can move */
  constructor(doc, onListen) {
    this.doc = doc;
    this.onListen = onListen;
    this.controls = new Map();
    this.bars = el("div");
    this.hint = el("p", { class: "hint", role: "status" });
    this.problem = el("p", { class: "hint problem" });
    this.over = el("button", { type: "button", text: "Save over it", hidden: true, on: { click: () => doc.saveOver() } });
    this.heard = el("button", { type: "button", text: "Back to what mira heard", on: { click: () => doc.discard() } });
    this.defaults = el("button", { type: "button", text: "As tuned", on: { click: () => this.reset() } });
    this.node = el("fieldset", {},
      el("legend", { text: doc.task.command }),
      ...doc.task.settings.map((setting) => this.control(setting)),
      el("div", { class: "export" }, this.defaults, this.heard),
      this.hint, this.problem, this.over,
      this.exporting(), this.bars);
    this.update();
  }

  control(setting) {
    const { name, minimum, maximum, choices, whole } = setting;
    const id = `setting-${this.doc.task.name}-${name}`;
    const input = choices.length
      ? el("select", { id }, ...choices.map((choice) => el("option", { value: choice, text: choice })))
      : typeof setting.default === "boolean"
        ? el("input", { id, type: "checkbox" })
        : el("input", { id, type: minimum !== null && maximum !== null ? "range" : "number" });
    if (input.type === "range" || input.type === "number") {
      if (minimum !== null) input.min = minimum;
      if (maximum !== null) input.max = maximum;
      input.step = whole ? 1 : "any";
    }
    const shown = el("output", { htmlFor: id });
    input.addEventListener("input", () => this.moved());
    this.controls.set(name, { setting, input, shown });
    return el("div", { class: "setting", title: setting.help },
      el("label", { htmlFor: id, text: name.replaceAll("_", " ") }), input.type === "checkbox" ? input : shown,
      ...(input.type === "checkbox" ? [] : [input]));
  }

  exporting() {
    const { formats } = this.doc.task;
    if (!formats.length) return el("div");
    const format = el("select", { "aria-label": `Format of ${this.doc.task.command}` },
      ...formats.map(({ name, suffix }) => el("option", { value: name, text: `${name} (${suffix})` })));
    const go = el("button", { type: "button", text: "Export", on: { click: () => this.export(format.value) } });
    return el("div", { class: "export" }, format, go);
  }

  /** Settings that differ from the defaults. */
  values() {
    const values = {};
    for (const [name, { setting, input }] of this.controls) {
      const value = read(input);
      if (value !== setting.default && !Number.isNaN(value)) values[name] = value;
    }
    return values;
  }

  moved() {
    this.label();
    const begun = performance.now();
    clearTimeout(this.timer);
    this.decode(this.values(), begun);
  }

  /** Decode; with the time at which a slider moved, as a draft whose way to the screen is measured. */
  async decode(values, begun) {
    try {
      if (await this.doc.decode(values, begun !== undefined)) {
        if (begun === undefined) return;
        requestAnimationFrame(() => performance.measure("slider", { start: begun }));
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.decode(this.values()), STILL);
      } else {
        this.hint.textContent = "Listening once more, then the sliders answer at once…";
        await this.onListen(this.doc);
      }
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }

  reset() {
    for (const { setting, input } of this.controls.values()) write(input, setting.default);
    this.moved();
  }

  label() {
    for (const { input, shown } of this.controls.values()) {
      shown.textContent = input.type === "range" || input.type === "number" ? String(read(input)) : "";
    }
  }

  /** Show the state of the doc: an edit holds the sliders until it is left. */
  update() {
    const { doc } = this;
    const held = doc.edited || !doc.result;
    for (const { setting, input } of this.controls.values()) {
      input.disabled = held;
      if (document.activeElement !== input) write(input, doc.settings[setting.name] ?? setting.default);
    }
    this.label();
    this.defaults.hidden = held || !this.controls.size;
    this.heard.hidden = !doc.edited;
    this.hint.textContent = doc.edited ? "Edited by hand: the sliders rest, so that they cannot undo your work." : "";
    this.problem.textContent = doc.problem;
    this.over.hidden = !doc.conflict;
    if (doc.task.kind === "tags") this.bars.replaceChildren(...tagBars(doc.result));
  }

  async export(format) {
    const { doc } = this;
    try {
      if (doc.draft) await doc.decode(doc.settings);
      const body = { format, result: doc.current(), settings: doc.settings, edited: doc.edited };
      const response = await ask(`tracks/${doc.track.id}/export/${doc.task.name}`, { method: "POST", body, raw: true });
      const name = decodeURIComponent(response.headers.get("Content-Disposition").split("''")[1]);
      const link = el("a", { href: URL.createObjectURL(await response.blob()), download: name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    } catch (error) {
      this.problem.textContent = `Not exported: ${error.message}`;
    }
  }
}

function read(input) {
  if (input.type === "checkbox") return input.checked;
  return input.tagName === "SELECT" ? input.value : Math.round(1000 * input.valueAsNumber) / 1000;
}

function write(input, value) {
  if (input.type === "checkbox") input.checked = value;
  else input.value = value;
}
