// One recording on screen: all lanes over one time line, the player, and who takes which key.

import { ask } from "./api.js";
import { CoverPanel } from "./covers.js";
import { Doc } from "./doc.js";
import { banner, el, say } from "./dom.js";
import { laneOf } from "./lanes.js";
import { Overview, Ruler } from "./overview.js";
import { Player } from "./player.js";
import { Roll } from "./roll.js";
import { SegmentLane } from "./segmentlane.js";
import { Sliders } from "./sliders.js";
import { Spectrogram } from "./spectrogram.js";
import { Timeline } from "./timeline.js";
import { Transport } from "./transport.js";
import { colours, onTheme } from "./theme.js";

const ORDER = ["notes", "chords", "segments", "multif0"];

/** Lanes lie in the order of their types, whichever task was done first. */
function rank(doc) {
  const place = ORDER.indexOf(doc.task.kind);
  return place < 0 ? ORDER.length : place;
}

export class TrackView {
  /** @param {object} studio what the studio says of itself; @param {string} id of the recording */
  constructor(studio, id, jobs) {
    this.studio = studio;
    this.id = id;
    this.docs = [];
    this.lanes = [];
    this.sliders = new Map();
    this.order = []; // docs in the order of their edits, for undo
    this.undone = [];
    this.node = el("div", { class: "track" });
    this.waiting = el("div", { class: "waiting", role: "status" });
    this.jobs = jobs;
  }

  async open() {
    this.track = await ask(`tracks/${this.id}`);
    document.getElementById("title").textContent = this.track.name;
    this.time = new Timeline(this.track.duration_s);
    this.player = new Player(this.id, this.track.duration_s, (problem) => {
      if (problem) this.warn(problem);
      this.redraw();
    });
    this.transport = new Transport(this);
    this.stack = el("div", { class: "lanes" });
    this.side = el("div", { class: "side" });
    this.hinted = el("p", { class: "hint" });
    this.node.replaceChildren(this.transport.node, this.waiting, el("div", { class: "desk" }, this.stack, this.side));
    this.time.onChange(() => {
      for (const lane of this.lanes) lane.stale ||= !lane.whole;
      this.redraw();
    });
    onTheme(() => this.restale());
    this.resizing = new ResizeObserver(() => {
      const canvas = this.lanes[0]?.canvas;
      if (!canvas) return;
      this.time.resize(canvas.clientWidth);
      this.restale();
    });
    this.resizing.observe(this.stack);
    this.stack.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.side.append(this.hinted);
    if (this.studio.covers) this.side.append(new CoverPanel(this).node);
    await this.refill();
    const heard = new Set(this.docs.map((doc) => doc.task.name));
    if (!this.spectrogram || this.studio.usual.some((name) => !heard.has(name))) {
      this.job = (await ask(`tracks/${this.id}/listen`, { method: "POST", body: { first: true } })).job;
    }
    this.onJobs(this.jobs);
  }

  /** Take whatever is there by now: picture, results, edits. */
  async fill() {
    const track = await ask(`tracks/${this.id}`);
    if (track.content !== this.track.content) {
      this.warn("The recording has changed since it was opened: reload this page.");
      return;
    }
    const fresh = this.studio.tasks
      .filter((task) => !this.docs.some((doc) => doc.task.name === task.name))
      .map((task) => new Doc(this.track, task, (changed) => this.changed(changed)));
    const loading = fresh.map((doc) => doc.load()); // all at once; they are shown in their order
    if (track.picture && !this.spectrogram) {
      const peaks = await (await ask(`tracks/${this.id}/peaks`, { raw: true })).arrayBuffer();
      this.spectrogram = new Spectrogram(track, track.picture, () => this.restale());
      this.addLane(new Overview(this, new Int8Array(peaks), track.picture.peak_s), 0);
      this.addLane(new Ruler(this), 1);
    }
    for (const [i, doc] of fresh.entries()) if (await loading[i]) this.show(doc);
    this.restale();
  }

  show(doc) {
    const { task } = doc;
    this.docs.push(doc);
    const sliders = new Sliders(doc, (quiet) => this.listenFor(quiet));
    this.sliders.set(doc, sliders);
    this.side.append(sliders.node);
    this.makeLane(doc);
    this.changed(doc);
  }

  makeLane(doc) {
    const { kind, command } = doc.task;
    let lane;
    if (kind === "notes") {
      lane = this.roll ? new Roll(this, doc, null, 160) : new Roll(this, doc, this.spectrogram, 0);
      this.roll ??= lane;
    } else if (kind === "chords" || kind === "segments") {
      const { key } = doc.result;
      lane = new SegmentLane(this, doc, key ? `${command}, ${key}` : command);
    } else {
      const Kind = laneOf(doc);
      if (!Kind) return;
      lane = new Kind(this, doc, command);
    }
    lane.ofDoc = doc;
    lane.of = doc.result;
    const after = this.lanes.findIndex((one) => one.ofDoc && rank(one.ofDoc) > rank(doc));
    this.addLane(lane, after < 0 ? this.lanes.length : after);
  }

  addLane(lane, place) {
    const next = this.lanes[place];
    this.lanes.splice(place, 0, lane);
    this.stack.insertBefore(lane.node, next ? next.node : null);
    this.time.resize(lane.canvas.clientWidth);
  }

  /** A doc has changed: by a slider, an edit, or because it was saved. */
  changed(doc) {
    if (!this.docs.includes(doc)) return; // still loading
    this.sliders.get(doc)?.update();
    const lane = this.lanes.find((one) => one.ofDoc === doc);
    if (lane?.chosen instanceof Set) {
      const there = new Set(doc.items);
      lane.chosen = new Set([...lane.chosen].filter((note) => there.has(note)));
    }
    if (!doc.form && lane?.of !== doc.result) this.remakeLane(lane, doc);
    if (doc.task.kind === "notes") this.player.setNotes(doc.items);
    if (doc.task.kind === "chords") this.player.setChords(doc.items);
    const steps = doc.past.length;
    if (steps > (doc.steps || 0)) this.order.push(doc);
    doc.steps = steps;
    this.saved();
    this.restale();
  }

  /** Lanes of types that nobody edits are made anew of a new result, which may have none, as tags. */
  remakeLane(lane, doc) {
    if (lane) {
      this.lanes.splice(this.lanes.indexOf(lane), 1);
      lane.node.remove();
    }
    this.makeLane(doc);
  }

  saved() {
    const unsaved = this.docs.filter((doc) => doc.problem);
    const edited = this.docs.some((doc) => doc.edited);
    document.getElementById("saved").textContent = unsaved.length ? "not saved" : edited ? "edited, saved" : "";
    if (unsaved.length) {
      this.warned = true;
      banner(unsaved[0].problem);
    } else if (this.warned) this.warned = banner("");
  }

  undo() {
    const doc = this.order.pop() ?? this.docs.find((one) => one.past.length);
    if (!doc?.undo()) return;
    this.undone.push(doc);
    say("undone");
  }

  redo() {
    const doc = this.undone.pop() ?? this.docs.find((one) => one.future.length);
    if (doc?.redo()) say("redone");
  }

  /** Have the network run although the result is known: its activations are wanted. */
  async listenFor(doc) {
    this.quiet = doc;
    const body = { tasks: [doc.task.name], again: true, first: true };
    this.job = (await ask(`tracks/${this.id}/listen`, { method: "POST", body })).job;
  }

  /** The jobs have moved on. */
  onJobs(jobs) {
    this.jobs = jobs;
    const mine = jobs.filter((job) => job.track === this.id);
    const now = mine.find((job) => job.state === "running" || job.state === "waiting");
    const failed = mine.filter((job) => job.state === "failed").at(-1);
    this.waiting.hidden = !now && !failed;
    if (now) {
      const cancel = () => ask(`jobs/${now.id}`, { method: "DELETE" });
      this.waiting.replaceChildren(
        el("span", { text: now.state === "running" ? "Listening…" : "Waiting for its turn…" }),
        el("progress", { max: 1, value: now.progress, "aria-label": "progress" }),
        el("button", { type: "button", text: "Cancel", on: { click: cancel } }));
      if (now.progress > 0.3 && !this.peeked && this.time) {
        this.peeked = true; // by now there is a picture to look at
        this.refill();
      }
    } else if (failed) {
      this.waiting.replaceChildren(el("span", { class: "problem", text: failed.error }));
    }
    const over = mine.find((job) => job.id === this.job && job.state === "done");
    if (over && this.time) {
      this.job = null;
      this.refill();
      const quiet = this.quiet;
      this.quiet = null;
      if (quiet) this.sliders.get(quiet).moved();
    }
  }

  /** Fill, one call after the other: two at once would show everything twice. */
  refill() {
    const again = () => this.fill().catch((error) => this.warn(error.message));
    this.filling = (this.filling ?? Promise.resolve()).then(again);
    return this.filling;
  }

  reconnect() {
    this.player?.reconnect();
    for (const doc of this.docs) if (doc.problem) doc.save();
  }

  warn(text) {
    this.warned = true;
    banner(text);
    say(text);
  }

  hint(text) {
    this.hinted.textContent = text;
  }

  toggleLoop() {
    const { loop } = this.player;
    if (loop.end > loop.start) loop.on = !loop.on;
    else this.player.setLoop(this.time.start, this.time.end);
    this.redraw();
  }

  playX() {
    const x = this.time.x(this.player.time);
    return x >= 0 && x <= this.time.width ? x : this.time.width / 2;
  }

  wheel(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      event.preventDefault();
      this.time.zoom(Math.exp(-event.deltaY / 300), event.offsetX);
    } else if (event.shiftKey || event.deltaX || this.stack.scrollHeight <= this.stack.clientHeight) {
      event.preventDefault();
      this.time.show(this.time.start + (event.deltaX || event.deltaY) / this.time.scale);
    }
  }

  restale() {
    for (const lane of this.lanes) lane.stale = true;
    this.redraw();
  }

  /** Draw at the next frame. */
  redraw() {
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = null;
    if (!this.node.isConnected || !colours.ground) return;
    if (this.player.playing) this.time.follow(this.player.time);
    for (const lane of this.lanes) lane.draw();
    this.transport.update();
    if (this.roll?.notes.length && !this.drawn) {
      this.drawn = true;
      performance.mark("notes-drawn");
    }
    if (this.player.playing) this.redraw();
  }

  /** Keys, unless a field or a lane's own editing has taken them. */
  key(event) {
    const lane = this.lanes.find((one) => one.canvas === document.activeElement);
    const command = event.ctrlKey || event.metaKey;
    if (command) {
      const letter = event.key.toLowerCase();
      if (letter === "z") event.shiftKey ? this.redo() : this.undo();
      else if (letter === "y") this.redo();
      else if (letter === "s") this.docs.forEach((doc) => doc.edited && doc.save());
      else return false;
      return true;
    }
    return Boolean(lane?.key?.(event)) || this.common(event);
  }

  common(event) {
    const { player, time } = this;
    const far = event.shiftKey ? 5 : 1;
    const actions = {
      " ": () => player.toggle(),
      ArrowLeft: () => this.go(player.time - far),
      ArrowRight: () => this.go(player.time + far),
      Home: () => this.go(0),
      End: () => this.go(player.duration),
      PageUp: () => time.show(time.start - 0.9 * (time.end - time.start)),
      PageDown: () => time.show(time.start + 0.9 * (time.end - time.start)),
      "+": () => time.zoom(1.6, this.playX()),
      "=": () => time.zoom(1.6, this.playX()),
      "-": () => time.zoom(1 / 1.6, this.playX()),
      0: () => time.fit(),
      l: () => this.toggleLoop(),
      i: () => player.setLoop(player.time, Math.max(player.loop.end, player.time)),
      o: () => player.setLoop(Math.min(player.loop.start, player.time), player.time),
      ",": () => player.setSpeed(player.audio.playbackRate - 0.05),
      ".": () => player.setSpeed(player.audio.playbackRate + 0.05),
      "[": () => player.setMix(player.mix - 0.1),
      "]": () => player.setMix(player.mix + 0.1),
      c: () => player.choose(player.source === "notes" ? "chords" : "notes"),
    };
    const action = actions[event.key];
    if (!action || event.altKey) return false;
    action();
    this.redraw();
    return true;
  }

  go(seconds) {
    this.player.seek(seconds);
    this.time.follow(this.player.time);
  }

  close() {
    this.resizing?.disconnect();
    this.player?.close();
    for (const doc of this.docs) if (doc.edited && doc.problem) doc.save();
  }
}
