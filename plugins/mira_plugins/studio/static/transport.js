// The bar over the lanes: play, speed, loop, and how much of the recording and of the notes is heard.

import { clock, el } from "./dom.js";
import { FASTEST, SLOWEST } from "./player.js";

export class Transport {
  constructor(stage) {
    this.stage = stage;
    const { player, time } = stage;
    const button = (text, title, click) => el("button", { type: "button", text, title, on: { click } });
    this.play = button("Play", "Play or pause (space)", () => player.toggle());
    this.play.className = "main";
    this.clock = el("span", { class: "clock" });
    this.loop = button("Loop", "Loop the region (L); drag in the ruler to choose one", () => stage.toggleLoop());
    this.speed = el("input", { type: "range", min: SLOWEST, max: FASTEST, step: 0.05, value: 1, id: "speed",
      on: { input: () => player.setSpeed(this.speed.valueAsNumber) } });
    this.speedShown = el("output", { htmlFor: "speed" });
    this.mix = el("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0, id: "mix",
      on: { input: () => player.setMix(this.mix.valueAsNumber) } });
    this.source = el("select", { "aria-label": "What the page plays itself",
      on: { change: () => player.choose(this.source.value) } },
      el("option", { value: "notes", text: "notes" }), el("option", { value: "chords", text: "chords" }));
    this.undo = button("Undo", "Undo (Ctrl+Z)", () => stage.undo());
    this.redo = button("Redo", "Redo (Ctrl+Shift+Z)", () => stage.redo());
    this.node = el("div", { class: "bar", role: "toolbar", "aria-label": "Playing" },
      this.play, this.clock, this.loop,
      el("label", { title: "Speed with the pitch kept ( , and . )" }, "speed", this.speed, this.speedShown),
      el("label", { title: "From the recording to what mira wrote ( [ and ] )" }, "recording", this.mix, this.source),
      button("−", "Zoom out (-)", () => time.zoom(1 / 1.6)), button("+", "Zoom in (+)", () => time.zoom(1.6, stage.playX())),
      button("Whole", "Show all (0)", () => time.fit()),
      this.undo, this.redo);
  }

  update() {
    const { player, docs } = this.stage;
    this.clock.textContent = `${clock(player.time)} / ${clock(player.duration)}`;
    const label = player.playing ? "Pause" : "Play";
    if (this.play.textContent !== label) this.play.textContent = label;
    this.loop.setAttribute("aria-pressed", String(player.loop.on));
    this.speed.value = player.audio.playbackRate;
    this.speedShown.textContent = player.audio.playbackRate.toFixed(2);
    this.mix.value = player.mix;
    this.source.value = player.source;
    this.undo.disabled = !docs.some((doc) => doc.past.length);
    this.redo.disabled = !docs.some((doc) => doc.future.length);
  }
}
