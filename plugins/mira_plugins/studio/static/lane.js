// A lane: a label at the left and a canvas that draws what the time line shows.

import { el } from "./dom.js";
import { colours } from "./theme.js";

/** Fit a canvas to the pixels of its element; gives a context whose unit is one CSS pixel. */
export function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d", { alpha: false });
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height };
}

/** Index of the first item whose `start` is at or after a second; items are sorted by it. */
export function firstAfter(items, seconds) {
  let low = 0, high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].start < seconds) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class Lane {
  /**
   * @param {object} stage the track view: `time`, `player`, `doc`s
   * @param {string} label
   * @param {number} height pixels; 0 takes what is left
   */
  constructor(stage, label, height) {
    this.stage = stage;
    this.time = stage.time;
    this.canvas = el("canvas", { class: "plot", tabIndex: 0, role: "application", "aria-label": label });
    this.gutter = el("div", { class: "gutter", text: label });
    this.node = el("div", { class: height ? "lane" : "lane grows" }, this.gutter, this.canvas);
    if (height) this.canvas.style.height = `${height}px`;
    this.still = document.createElement("canvas");
    this.stale = true;
    this.whole = false; // whether the lane shows the whole recording, whatever the time line shows
  }

  /** Draw: what stands still (again only if `stale`), then loop and playhead. */
  draw() {
    const { context, width, height } = prepared(this.canvas);
    if (this.stale || this.still.width !== this.canvas.width || this.still.height !== this.canvas.height) {
      this.still.width = this.canvas.width;
      this.still.height = this.canvas.height;
      const below = this.still.getContext("2d", { alpha: false });
      below.setTransform(context.getTransform());
      below.fillStyle = colours.sunk;
      below.fillRect(0, 0, width, height);
      this.paint(below, width, height);
      this.stale = false;
    }
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.still, 0, 0);
    context.restore();
    this.overlay(context, width, height);
  }

  overlay(context, width, height) {
    const { loop, time } = this.stage.player;
    if (loop.end > loop.start) {
      context.fillStyle = colours.loop;
      context.fillRect(this.time.x(loop.start), 0, (loop.end - loop.start) * this.time.scale, height);
    }
    context.fillStyle = colours.playhead;
    context.fillRect(Math.round(this.time.x(time)) - 1, 0, 2, height);
  }

  /** Upright lines of the time grid. */
  grid(context, height) {
    const step = this.time.step();
    context.fillStyle = colours.grid;
    for (let t = Math.ceil(this.time.start / step) * step; t <= this.time.end; t += step) {
      context.fillRect(Math.round(this.time.x(t)), 0, 1, height);
    }
  }
}
