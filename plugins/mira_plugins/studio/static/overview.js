// Above all lanes: the whole waveform with the window that is on screen, and the ruler with the loop region.

import { clock } from "./dom.js";
import { Lane } from "./lane.js";
import { colours } from "./theme.js";

export class Overview extends Lane {
  /** @param {Int8Array} peaks lowest and highest of each stretch of `peakSeconds` */
  constructor(stage, peaks, peakSeconds) {
    super(stage, "whole", 52);
    this.canvas.setAttribute("aria-label", "Whole recording: click or drag to go there");
    this.whole = true;
    this.peaks = peaks;
    this.peakSeconds = peakSeconds;
    const go = (event) => {
      if (!(event.buttons & 1)) return;
      const seconds = (event.offsetX / this.canvas.clientWidth) * this.time.duration;
      if (event.type === "pointerdown") {
        this.canvas.setPointerCapture(event.pointerId);
        stage.player.seek(seconds);
      }
      this.time.show(seconds - (this.time.end - this.time.start) / 2);
    };
    this.canvas.addEventListener("pointerdown", go);
    this.canvas.addEventListener("pointermove", go);
  }

  paint(context, width, height) {
    context.fillStyle = colours.wave;
    const points = this.peaks.length / 2;
    const total = this.time.duration / this.peakSeconds;
    for (let x = 0; x < width; x++) {
      const from = Math.floor((x / width) * total), to = Math.max(Math.floor(((x + 1) / width) * total), from + 1);
      let low = 0, high = 0;
      for (let i = from; i < Math.min(to, points); i++) {
        low = Math.min(low, this.peaks[2 * i]);
        high = Math.max(high, this.peaks[2 * i + 1]);
      }
      context.fillRect(x, height / 2 - (high / 127) * (height / 2), 1, Math.max(((high - low) / 127) * (height / 2), 1));
    }
  }

  overlay(context, width, height) {
    const scale = width / this.time.duration;
    const { time, loop } = this.stage.player;
    if (loop.end > loop.start) {
      context.fillStyle = colours.loop;
      context.fillRect(loop.start * scale, 0, (loop.end - loop.start) * scale, height);
    }
    context.strokeStyle = colours.accent;
    context.lineWidth = 2;
    context.strokeRect(this.time.start * scale + 1, 1, Math.max((this.time.end - this.time.start) * scale - 2, 2), height - 2);
    context.fillStyle = colours.playhead;
    context.fillRect(Math.round(time * scale) - 1, 0, 2, height);
  }
}

export class Ruler extends Lane {
  constructor(stage) {
    super(stage, "time", 24);
    this.canvas.setAttribute("aria-label", "Time: click to go there, drag to loop a region");
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
  }

  paint(context, width, height) {
    this.grid(context, height);
    const step = this.time.step();
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = colours.soft;
    for (let t = Math.ceil(this.time.start / step) * step; t <= this.time.end; t += step) {
      const fine = step < 0.1 ? `${clock(t).slice(0, -2)}.${(t % 1).toFixed(2).slice(2)}` : clock(t).replace(/\.0$/, "");
      context.fillText(fine, this.time.x(t) + 3, height - 8);
    }
  }

  press(event) {
    const { player } = this.stage;
    const from = this.time.seconds(event.offsetX), x = event.offsetX;
    this.canvas.setPointerCapture(event.pointerId);
    let dragged = false;
    const move = (next) => {
      dragged ||= Math.abs(next.offsetX - x) > 3;
      if (!dragged) return;
      const to = this.time.seconds(next.offsetX);
      player.setLoop(Math.min(from, to), Math.max(from, to));
    };
    this.canvas.addEventListener("pointermove", move);
    this.canvas.addEventListener("pointerup", () => {
      this.canvas.removeEventListener("pointermove", move);
      if (!dragged) player.seek(from);
    }, { once: true });
  }
}

