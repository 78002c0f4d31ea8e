// The piano roll: notes over the spectrogram, to look at and to mend.

import { say } from "./dom.js";
import { Lane, firstAfter, prepared } from "./lane.js";
import { made, moved, noteName, resized, tidy } from "./notes.js";
import { colours, isLight } from "./theme.js";

const EDGE = 5;
const LOWEST = 21, HIGHEST = 108;
const BLACK = new Set([1, 3, 6, 8, 10]);

export class Roll extends Lane {
  /** @param {object} doc the notes; @param {object|null} spectrogram what lies under them; @param {number} height as of a lane */
  constructor(stage, doc, spectrogram, height) {
    super(stage, "", height);
    this.doc = doc;
    this.spectrogram = spectrogram;
    this.chosen = new Set();
    this.canvas.setAttribute("aria-label", `${doc.task.command}: N and P choose, arrows move the chosen ones, A adds, Delete deletes`);
    this.keys = document.createElement("canvas");
    this.keys.style.cssText = "width:100%;height:100%";
    this.gutter.style.padding = "0";
    this.gutter.append(this.keys);
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("dblclick", (event) => this.addAt(event));
  }

  get notes() {
    return this.preview || this.doc.items || [];
  }

  y(pitch) {
    return ((HIGHEST + 1 - pitch - 0.5) / (HIGHEST + 1 - LOWEST)) * this.canvas.clientHeight;
  }

  pitchAt(y) {
    const pitch = Math.round(HIGHEST + 0.5 - (y / this.canvas.clientHeight) * (HIGHEST + 1 - LOWEST));
    return Math.min(Math.max(pitch, 0), 127);
  }

  /** Notes that the time line shows, in order. */
  *visible() {
    const notes = this.notes;
    if (this.measured !== notes) {
      this.measured = notes;
      this.longest = notes.reduce((most, note) => Math.max(most, note.end - note.start), 0);
    }
    for (let i = firstAfter(notes, this.time.start - this.longest); i < notes.length; i++) {
      if (notes[i].start > this.time.end) break;
      if (notes[i].end >= this.time.start) yield notes[i];
    }
  }

  paint(context, width, height) {
    const row = height / (HIGHEST + 1 - LOWEST);
    if (this.spectrogram) this.spectrogram.paint(context, this.time, (pitch) => this.y(pitch));
    else this.paintRows(context, width, row);
    this.grid(context, height);
    const thick = Math.max(row - 1, 2);
    const curves = this.time.scale > 60 && row >= 4;
    // Notes of one shade together: with ten thousand on screen, to change the colour is what takes the time.
    const shades = new Map();
    for (const note of this.visible()) {
      const key = shadeOf(note);
      if (shades.has(key)) shades.get(key).push(note);
      else shades.set(key, [note]);
    }
    const box = ({ start, end, pitch }) => {
      const long = Math.max((end - start) * this.time.scale, 1);
      return [this.time.x(start), height - (pitch - LOWEST + 0.5) * row - thick / 2, long, thick];
    };
    for (const [key, notes] of shades) {
      context.fillStyle = shade(key);
      for (const note of notes) context.fillRect(...box(note));
    }
    context.strokeStyle = colours.chosen;
    context.lineWidth = 2;
    for (const note of this.chosen) {
      const [x, top, long, thick] = box(note);
      context.strokeRect(x - 1, top - 1, long + 2, thick + 2);
    }
    if (curves) this.paintBends(context);
    this.paintKeys(row);
  }

  paintRows(context, width, row) {
    context.fillStyle = colours.grid;
    for (let pitch = LOWEST; pitch <= HIGHEST; pitch++) {
      if (BLACK.has(pitch % 12)) context.fillRect(0, this.y(pitch) - row / 2, width, row);
    }
  }

  paintBends(context) {
    context.strokeStyle = colours.text;
    context.lineWidth = 1;
    context.beginPath();
    for (const note of this.visible()) {
      if (!note.bends || note.bends.length < 2) continue;
      note.bends.forEach(([offset, semitones], i) => {
        const x = this.time.x(note.start + offset), y = this.y(note.pitch + semitones);
        if (i === 0) context.moveTo(x, y);
        else context.lineTo(x, y);
      });
    }
    context.stroke();
  }

  paintKeys(row) {
    const { context, width, height } = prepared(this.keys);
    context.fillStyle = isLight() ? "#ffffff" : "#d9dee6";
    context.fillRect(0, 0, width, height);
    context.font = "10px sans-serif";
    for (let pitch = LOWEST; pitch <= HIGHEST; pitch++) {
      const middle = this.y(pitch);
      context.fillStyle = "#1d242e";
      if (BLACK.has(pitch % 12)) context.fillRect(0, middle - row / 2, width * 0.6, row);
      if (pitch % 12 === 0) context.fillText(noteName(pitch), width * 0.62, Math.max(middle + 4, 10));
    }
  }

  /** The note under a point, the one drawn last; and whether the point is at its end. */
  hit(x, y) {
    let found = null;
    const slack = Math.max(this.canvas.clientHeight / (HIGHEST + 1 - LOWEST) / 2, 3);
    for (const note of this.visible()) {
      const left = this.time.x(note.start), right = Math.max(this.time.x(note.end), left + 4);
      if (x >= left - 1 && x <= right + 2 && Math.abs(y - this.y(note.pitch)) <= slack) {
        found = { note, edge: x > right - EDGE && right - left > 2 * EDGE };
      }
    }
    return found;
  }

  hover(event) {
    if (this.drag) return;
    const found = this.hit(event.offsetX, event.offsetY);
    this.canvas.style.cursor = found ? (found.edge ? "ew-resize" : "move") : "default";
    if (found) this.stage.hint(describe(found.note));
  }

  press(event) {
    if (event.button !== 0) return;
    const found = this.hit(event.offsetX, event.offsetY);
    if (!found) {
      this.choose([]);
      this.stage.player.seek(this.time.seconds(event.offsetX));
      return;
    }
    if (event.shiftKey) this.choose([...this.chosen, found.note]);
    else if (!this.chosen.has(found.note)) this.choose([found.note]);
    this.drag = { x: event.offsetX, y: event.offsetY, edge: found.edge, moved: false };
    this.canvas.setPointerCapture(event.pointerId);
    const move = (next) => this.dragTo(next);
    this.canvas.addEventListener("pointermove", move);
    this.canvas.addEventListener("pointerup", () => {
      this.canvas.removeEventListener("pointermove", move);
      const { moved: done } = this.drag;
      this.drag = null;
      if (done) this.settle();
      else this.stage.player.audition([found.note.pitch]);
    }, { once: true });
  }

  dragTo(event) {
    const { x, y, edge } = this.drag;
    if (!this.drag.moved && Math.abs(event.offsetX - x) + Math.abs(event.offsetY - y) < 3) return;
    if (!this.drag.moved) Object.assign(this.drag, { moved: true, chosen: this.chosen, notes: this.notes });
    const seconds = (event.offsetX - x) / this.time.scale;
    const semitones = this.pitchAt(event.offsetY) - this.pitchAt(y);
    const { duration } = this.time;
    this.replace(this.drag.notes, this.drag.chosen, (note) =>
      edge ? resized(note, note.end + seconds, duration) : moved(note, seconds, semitones, duration));
  }

  /** Show `notes` with the chosen ones changed; nothing counts until `settle`. */
  replace(notes, chosen, change) {
    const next = new Set();
    this.preview = notes.map((note) => {
      if (!chosen.has(note)) return note;
      const other = change(note);
      next.add(other);
      return other;
    }).sort((a, b) => a.start - b.start || a.pitch - b.pitch);
    this.chosen = next;
    this.changed();
  }

  /** Let what is shown count. */
  settle() {
    const notes = this.preview;
    this.preview = null;
    this.doc.edit(tidy(notes));
    this.announce();
  }

  choose(notes) {
    this.chosen = new Set(notes);
    this.announce();
    this.changed();
  }

  announce() {
    if (this.chosen.size === 1) say(describe([...this.chosen][0]));
    else if (this.chosen.size) say(`${this.chosen.size} notes chosen`);
  }

  changed() {
    this.stale = true;
    this.stage.redraw();
  }

  add(start, pitch) {
    const note = made(start, pitch, this.time.duration);
    this.doc.edit(tidy([...this.notes, note]));
    this.choose([note]);
    this.stage.player.audition([pitch]);
  }

  addAt(event) {
    if (!this.hit(event.offsetX, event.offsetY)) this.add(this.time.seconds(event.offsetX), this.pitchAt(event.offsetY));
  }

  /** Keys while the roll has the focus; true if it took the key. */
  key(event) {
    const change = (edit) => {
      if (!this.chosen.size) return false;
      this.replace(this.notes, this.chosen, edit);
      this.settle();
      return true;
    };
    const { duration } = this.time;
    const semitones = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    const seconds = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
    if (semitones) return change((note) => moved(note, 0, event.shiftKey ? 12 * semitones : semitones, duration));
    if (seconds && event.altKey && event.shiftKey) return change((note) => resized(note, note.end + seconds, duration));
    if (seconds && event.altKey) return change((note) => moved(note, seconds, 0, duration));
    switch (event.key) {
      case "Delete":
      case "Backspace":
        if (!this.chosen.size) return false;
        say(`${this.chosen.size} deleted`);
        this.doc.edit(this.notes.filter((note) => !this.chosen.has(note)));
        this.choose([]);
        return true;
      case "Escape":
        this.choose([]);
        return true;
      case "a":
        this.add(this.stage.player.time, [...this.chosen][0]?.pitch ?? 60);
        return true;
      case "n":
      case "p":
        this.step(event.key === "n" ? 1 : -1);
        return true;
    }
    return false;
  }

  step(by) {
    const notes = this.notes;
    if (!notes.length) return;
    const here = this.chosen.size ? notes.indexOf([...this.chosen].at(by)) : firstAfter(notes, this.stage.player.time) - (by > 0);
    const note = notes[Math.min(Math.max(here + by, 0), notes.length - 1)];
    this.choose([note]);
    this.stage.player.seek(note.start);
    this.stage.player.audition([note.pitch]);
    this.time.follow(note.start);
  }
}

function describe(note) {
  const sure = Math.round(100 * note.confidence);
  return `${noteName(note.pitch)} at ${note.start.toFixed(2)} s, ${(note.end - note.start).toFixed(2)} s long, velocity ${note.velocity}, ${sure} % sure`;
}

// Louder notes are stronger in colour, surer ones less transparent; eight steps of each.
function shadeOf(note) {
  return Math.min(note.velocity >> 4, 7) * 8 + Math.min(Math.floor(note.confidence * 8), 7);
}

function shade(key) {
  const loud = key >> 3, sure = key & 7;
  const light = isLight() ? 44 - 3.2 * loud : 42 + 4.2 * loud;
  return `hsl(171 ${isLight() ? 80 : 66}% ${light}% / ${0.45 + 0.075 * sure})`;
}
