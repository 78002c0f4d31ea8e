// Covers and similar recordings: matches, the stretches that fit as ribbons, and a player that jumps between.

import { ask } from "./api.js";
import { clock, el } from "./dom.js";
import { prepared } from "./lane.js";
import { colours } from "./theme.js";

/** The second of the other recording at the same place in the music; null outside all spans. */
export function across(spans, seconds) {
  for (const [from, to, otherFrom, otherTo] of spans) {
    if (seconds >= from && seconds <= to && to > from) {
      return otherFrom + ((seconds - from) / (to - from)) * (otherTo - otherFrom);
    }
  }
  return null;
}

export class CoverPanel {
  constructor(stage) {
    this.stage = stage;
    this.find = el("button", { type: "button", text: "Find covers", on: { click: () => this.query() } });
    this.list = el("ol");
    this.ribbons = el("canvas", { class: "plot", tabIndex: 0, hidden: true, role: "img", "aria-label": "Stretches that fit" });
    this.ribbons.style.cssText = "width:100%;height:110px";
    this.jump = el("button", { type: "button", text: "Hear the other", hidden: true, on: { click: () => this.cross() } });
    this.said = el("p", { class: "hint", role: "status" });
    this.other = new Audio();
    this.other.preservesPitch = true;
    this.node = el("fieldset", { class: "covers" }, el("legend", { text: "covers" }),
      this.find, this.list, this.ribbons, this.jump, this.said);
  }

  async query() {
    this.said.textContent = "looking…";
    this.find.disabled = true;
    try {
      this.matches = await ask(`tracks/${this.stage.id}/covers`);
      this.said.textContent = this.matches.length ? "" : "nothing in the index is like it";
      this.list.replaceChildren(...this.matches.map((match) => el("li", {}, this.line(match))));
    } catch (error) {
      this.said.textContent = error.message;
    }
    this.find.disabled = false;
  }

  line(match) {
    const sure = match.probability === null ? `score ${match.score}` : `${Math.round(100 * match.probability)} %`;
    const moved = match.transposition ? `, ${match.transposition > 0 ? "+" : ""}${match.transposition} semitones` : "";
    return el("button", { type: "button", class: "match", text: `${match.name}: ${sure}${moved}`, on: { click: () => this.choose(match) } });
  }

  async choose(match) {
    this.match = match;
    const { duration_s: duration } = await ask(`tracks/${match.id}`);
    this.length = duration;
    this.other.src = `/api/tracks/${match.id}/audio`;
    this.ribbons.hidden = this.jump.hidden = false;
    this.paint();
  }

  /** This recording above, the other below, a ribbon for each stretch that fits. */
  paint() {
    const { context, width, height } = prepared(this.ribbons);
    context.fillStyle = colours.sunk;
    context.fillRect(0, 0, width, height);
    const above = (s) => (s / this.stage.time.duration) * width, below = (s) => (s / this.length) * width;
    context.fillStyle = colours.wave;
    context.fillRect(0, 0, width, 12);
    context.fillRect(0, height - 12, width, 12);
    context.fillStyle = context.strokeStyle = colours.accent;
    for (const [from, to, otherFrom, otherTo] of this.match.spans || []) {
      context.beginPath();
      context.moveTo(above(from), 12);
      context.lineTo(above(to), 12);
      context.lineTo(below(otherTo), height - 12);
      context.lineTo(below(otherFrom), height - 12);
      context.closePath();
      context.globalAlpha = 0.35;
      context.fill();
      context.globalAlpha = 1;
      context.stroke();
    }
  }

  /** Go on in the other recording, at the same place in the music. */
  cross() {
    const { player } = this.stage;
    const spans = this.match.spans || [];
    if (this.other.paused) {
      const there = across(spans, player.time);
      if (there === null) {
        this.said.textContent = "here the two do not fit; move into a ribbon";
        return;
      }
      player.audio.pause();
      this.other.currentTime = there;
      this.other.play();
      this.jump.textContent = "Back to this one";
      this.said.textContent = `${this.match.name} from ${clock(there)}`;
    } else {
      this.other.pause();
      const back = across(spans.map(([a, b, c, d]) => [c, d, a, b]), this.other.currentTime);
      if (back !== null) player.seek(back);
      player.toggle();
      this.jump.textContent = "Hear the other";
      this.said.textContent = "";
    }
  }
}
