// Labelled stretches of time: chords, sections, whatever a plugin calls segments; to look at and to mend.

import { isChord, pitches, shown } from "./chords.js";
import { el, say } from "./dom.js";
import { Lane, firstAfter } from "./lane.js";
import { joined, renamed, shifted, split } from "./segments.js";
import { colours } from "./theme.js";

const EDGE = 4;

export class SegmentLane extends Lane {
  constructor(stage, doc, label) {
    super(stage, label, 44);
    this.doc = doc;
    this.chosen = -1;
    this.canvas.setAttribute("aria-label", `${label}: N and P choose, Enter renames, S splits, J joins with the next`);
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.canvas.addEventListener("dblclick", () => this.rename());
    this.canvas.addEventListener("pointermove", (event) => {
      if (this.dragging) return;
      const { segment, boundary } = this.hit(event.offsetX);
      this.canvas.style.cursor = boundary > 0 ? "ew-resize" : "default";
      if (segment >= 0) this.stage.hint(this.describe(segment));
    });
  }

  get segments() {
    return this.preview || this.doc.items || [];
  }

  get isChords() {
    return this.doc.task.kind === "chords";
  }

  text(segment) {
    return this.isChords ? shown(segment.label, this.doc.result.key) : segment.label;
  }

  describe(index) {
    const segment = this.segments[index];
    const others = (segment.alternatives || []).map(([label, p]) => `${label} ${Math.round(100 * p)} %`);
    const sure = `${Math.round(100 * segment.confidence)} % sure`;
    return `${segment.label}, ${segment.start.toFixed(2)} to ${segment.end.toFixed(2)} s, ${sure}${others.length ? `; or ${others.join(", ")}` : ""}`;
  }

  paint(context, width, height) {
    const { segments, time } = this;
    context.font = "600 13px system-ui, sans-serif";
    context.textBaseline = "middle";
    const playing = this.at(this.stage.player.time);
    for (let i = Math.max(firstAfter(segments, time.start) - 1, 0); i < segments.length; i++) {
      const segment = segments[i];
      if (segment.start > time.end) break;
      const x = time.x(segment.start), wide = (segment.end - segment.start) * time.scale;
      context.fillStyle = i % 2 ? colours["chord-alt"] : colours.chord;
      context.fillRect(x, 0, wide, height);
      context.fillStyle = colours.accent;
      context.fillRect(x, height - 3, wide * segment.confidence, 3);
      context.fillStyle = colours.line;
      context.fillRect(x, 0, 1, height);
      if (i === this.chosen) {
        context.strokeStyle = colours.chosen;
        context.lineWidth = 2;
        context.strokeRect(x + 1, 1, Math.max(wide - 2, 1), height - 2);
      }
      const label = this.text(segment);
      const left = Math.max(x, 0) + 5, room = x + wide - left - 3;
      if (room > 8 && context.measureText(label).width <= room) {
        context.fillStyle = i === playing ? colours.accent : colours.text;
        context.fillText(label, left, height / 2 - 1);
      }
    }
  }

  overlay(context, width, height) {
    const now = this.at(this.stage.player.time);
    if (now !== this.shownAt) {
      this.shownAt = now;
      this.stale = true;
    }
    super.overlay(context, width, height);
  }

  /** Index of the segment at a second, or -1. */
  at(seconds) {
    const after = firstAfter(this.segments, seconds + 1e-6);
    return after > 0 && this.segments[after - 1].end > seconds ? after - 1 : -1;
  }

  hit(x) {
    const segment = this.at(this.time.seconds(x));
    const near = (i) => i > 0 && i < this.segments.length && Math.abs(this.time.x(this.segments[i].start) - x) <= EDGE;
    return { segment, boundary: near(segment) ? segment : near(segment + 1) ? segment + 1 : -1 };
  }

  press(event) {
    if (event.button !== 0) return;
    const { segment, boundary } = this.hit(event.offsetX);
    if (boundary > 0) {
      this.dragBoundary(event, boundary);
      return;
    }
    this.choose(segment);
    this.stage.player.seek(this.time.seconds(event.offsetX));
    if (segment >= 0 && !this.stage.player.playing) this.stage.player.audition(pitches(this.segments[segment].label));
  }

  dragBoundary(event, boundary) {
    const segments = this.segments;
    this.dragging = true;
    this.canvas.setPointerCapture(event.pointerId);
    const move = (next) => {
      this.preview = shifted(segments, boundary, this.time.seconds(next.offsetX));
      this.changed();
    };
    this.canvas.addEventListener("pointermove", move);
    this.canvas.addEventListener("pointerup", () => {
      this.canvas.removeEventListener("pointermove", move);
      this.dragging = false;
      const done = this.preview;
      this.preview = null;
      if (done) this.doc.edit(done);
    }, { once: true });
  }

  choose(index) {
    this.chosen = index;
    if (index >= 0) say(this.describe(index));
    this.changed();
  }

  changed() {
    this.stale = true;
    this.stage.redraw();
  }

  /** Ask for a label in the lane itself. */
  rename() {
    const index = this.chosen;
    if (index < 0 || !this.doc.canEdit) return;
    const segment = this.segments[index];
    const field = el("input", { class: "rename", value: segment.label, maxLength: 60, "aria-label": "New label" });
    field.style.left = `${this.gutter.offsetWidth + Math.max(this.time.x(segment.start), 0)}px`;
    field.style.top = "9px";
    const end = (take) => {
      if (!field.isConnected) return;
      const label = field.value.trim();
      field.onblur = null;
      field.remove();
      this.canvas.focus();
      if (!take || !label || label === segment.label) return;
      if (this.isChords && !isChord(label)) this.stage.warn(`“${label}” is no chord; write it like A:min7/b3, F#:maj, N`);
      else this.doc.edit(renamed(this.segments, index, label));
    };
    field.onblur = () => end(true);
    field.onkeydown = (event) => {
      event.stopPropagation();
      if (event.key === "Enter") end(true);
      if (event.key === "Escape") end(false);
    };
    this.node.append(field);
    field.select();
  }

  /** Keys while the lane has the focus; true if it took the key. */
  key(event) {
    const { segments, chosen } = this;
    switch (event.key) {
      case "n":
      case "p": {
        const here = chosen >= 0 ? chosen + (event.key === "n" ? 1 : -1) : this.at(this.stage.player.time);
        const index = Math.min(Math.max(here, 0), segments.length - 1);
        if (index < 0) return true;
        this.choose(index);
        this.stage.player.seek(segments[index].start);
        this.time.follow(segments[index].start);
        if (!this.stage.player.playing) this.stage.player.audition(pitches(segments[index].label));
        return true;
      }
      case "Enter":
        this.rename();
        return true;
      case "s": {
        const index = this.at(this.stage.player.time);
        if (index >= 0) this.doc.edit(split(segments, index, this.stage.player.time));
        return true;
      }
      case "j":
        if (chosen >= 0) this.doc.edit(joined(segments, chosen));
        return true;
      case "Escape":
        this.choose(-1);
        return true;
    }
    return false;
  }
}
