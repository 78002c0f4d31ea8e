// Lanes for results of any plugin, by their type alone: points, curves, pitches, matrices. And tags, as bars.

import { el } from "./dom.js";
import { Lane, firstAfter } from "./lane.js";
import { colours, onTheme, shades } from "./theme.js";

export class EventLane extends Lane {
  constructor(stage, doc, label) {
    super(stage, label, 34);
    this.points = doc.result.time_s.map((start, i) => ({ start, label: doc.result.label[i] }));
  }

  paint(context, width, height) {
    context.font = "11px system-ui, sans-serif";
    let free = -1;
    for (let i = firstAfter(this.points, this.time.start); i < this.points.length; i++) {
      const { start, label } = this.points[i];
      if (start > this.time.end) break;
      const x = this.time.x(start);
      context.fillStyle = colours.accent;
      context.fillRect(Math.round(x), 0, 1, height);
      const wide = context.measureText(label).width;
      if (x > free && label) {
        context.fillStyle = colours.text;
        context.fillText(label, x + 3, 13);
        free = x + wide + 8;
      }
    }
  }
}

export class CurveLane extends Lane {
  constructor(stage, doc, label) {
    const { time_s, value, unit } = doc.result;
    super(stage, unit ? `${label} (${unit})` : label, 64);
    this.points = time_s.map((start, i) => ({ start, value: value[i] }));
    this.low = value.reduce((least, v) => Math.min(least, v), Infinity);
    this.high = value.reduce((most, v) => Math.max(most, v), -Infinity);
  }

  paint(context, width, height) {
    this.grid(context, height);
    const { points, time } = this;
    const span = this.high - this.low || 1;
    const y = (value) => height - 4 - ((value - this.low) / span) * (height - 8);
    const first = Math.max(firstAfter(points, time.start) - 1, 0);
    const last = Math.min(firstAfter(points, time.end) + 1, points.length);
    // More points than pixels: each column shows its lowest and highest.
    const each = Math.max(Math.floor((last - first) / (2 * width)), 1);
    context.strokeStyle = colours.accent;
    context.lineWidth = 1.5;
    context.beginPath();
    for (let i = first; i < last; i += each) {
      let low = Infinity, high = -Infinity;
      for (let k = i; k < Math.min(i + each, last); k++) {
        low = Math.min(low, points[k].value);
        high = Math.max(high, points[k].value);
      }
      const x = time.x(points[i].start);
      if (i === first) context.moveTo(x, y(low));
      context.lineTo(x, y(low));
      if (high > low) context.lineTo(x, y(high));
    }
    context.stroke();
  }
}

export class PitchLane extends Lane {
  constructor(stage, doc, label) {
    super(stage, `${label} (Hz)`, 90);
    this.frames = doc.result.time_s.map((start, i) => ({ start, freq: doc.result.freq_hz[i] }));
  }

  paint(context, width, height) {
    this.grid(context, height);
    context.fillStyle = colours.accent;
    const wide = Math.max(0.01 * this.time.scale, 1);
    for (let i = firstAfter(this.frames, this.time.start); i < this.frames.length; i++) {
      const { start, freq } = this.frames[i];
      if (start > this.time.end) break;
      for (const hz of freq) {
        const octaves = Math.log2(hz / 27.5) / 7.25;
        context.fillRect(this.time.x(start), height * (1 - octaves) - 1, wide, 2);
      }
    }
  }
}

export class MatrixLane extends Lane {
  constructor(stage, doc, label) {
    super(stage, label, 72);
    this.result = doc.result;
    this.picture = this.coloured();
    onTheme(() => (this.picture = this.coloured()));
  }

  coloured() {
    const { sequence } = this.result;
    const rows = sequence.length ? sequence[0].length : 0;
    const canvas = document.createElement("canvas");
    if (!rows) return null;
    // A canvas has a widest width; longer sequences are thinned out.
    const each = Math.ceil(sequence.length / 8000);
    canvas.width = Math.ceil(sequence.length / each);
    canvas.height = rows;
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, rows);
    const table = shades();
    const most = sequence.reduce((m, row) => row.reduce((n, v) => Math.max(n, Math.abs(v)), m), 1e-9);
    for (let column = 0; column < canvas.width; column++) {
      for (let row = 0; row < rows; row++) {
        const level = Math.round(127.5 + 127.5 * (sequence[column * each][row] / most));
        image.data.set(table.subarray(4 * level, 4 * level + 4), 4 * ((rows - 1 - row) * canvas.width + column));
      }
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }

  paint(context, width, height) {
    const { time_s } = this.result;
    if (!this.picture || !time_s.length) return;
    const step = time_s.length > 1 ? time_s[1] - time_s[0] : this.time.duration;
    context.imageSmoothingEnabled = false;
    const long = time_s.length * step * this.time.scale;
    context.drawImage(this.picture, this.time.x(time_s[0] - step / 2), 0, long, height);
  }
}

/** Tags over time: a row for each of the likeliest, its strength by colour. */
export class TagLane extends Lane {
  constructor(stage, doc, label) {
    const { tags, timeline } = doc.result;
    const most = tags.map((name, k) => ({ name, k, most: timeline.reduce((m, row) => Math.max(m, row[k]), 0) }));
    const rows = most.sort((a, b) => b.most - a.most).slice(0, 6);
    super(stage, "", 16 * rows.length);
    this.canvas.setAttribute("aria-label", `${label} over time: ${rows.map((row) => row.name).join(", ")}`);
    this.gutter.style.padding = "0 4px";
    this.gutter.append(...rows.map((row) => el("div", { class: "tag-row", text: row.name, title: row.name })));
    this.rows = rows;
    this.result = doc.result;
  }

  paint(context, width, height) {
    const { time_s, timeline } = this.result;
    const step = time_s.length > 1 ? time_s[1] - time_s[0] : this.time.duration;
    context.fillStyle = colours.accent;
    this.rows.forEach(({ k }, row) => {
      time_s.forEach((start, i) => {
        if (start + step < this.time.start || start - step > this.time.end) return;
        context.globalAlpha = timeline[i][k];
        const left = Math.round(this.time.x(start - step / 2)), right = Math.round(this.time.x(start + step / 2));
        context.fillRect(left, 16 * row + 1, right - left, 14);
      });
    });
    context.globalAlpha = 1;
  }
}

/** Tags of a recording as bars, the likeliest first. */
export function tagBars(result) {
  const groups = [
    ["Genre", result.genre], ["Instruments", result.instruments], ["Families", result.families],
    ["Own", result.own], ["Voice", { voice: result.voice }],
  ];
  return groups.filter(([, tags]) => tags && Object.keys(tags).length).map(([title, tags]) =>
    el("div", {}, el("h2", { text: title }),
      ...Object.entries(tags).sort((a, b) => b[1] - a[1]).slice(0, 10).map(([name, probability]) =>
        el("div", { class: "tag" },
          el("span", { text: name }),
          el("span", { text: `${Math.round(100 * probability)} %` }),
          el("meter", { value: probability, min: 0, max: 1, "aria-label": name })))));
}

/** The lane of each type of result; notes, chords and segments have lanes of their own. */
const LANES = { events: EventLane, curve: CurveLane, multif0: PitchLane, embedding: MatrixLane };

/** Class of the lane that shows a doc's result; none where it says nothing over time. */
export function laneOf(doc) {
  if (doc.task.kind === "tags") return doc.result.timeline ? TagLane : undefined;
  return LANES[doc.task.kind];
}
