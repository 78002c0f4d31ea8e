// Plays a recording, its notes or its chords, and is the clock of the page.

import { pitches } from "./chords.js";
import { Synth } from "./synth.js";

export const SLOWEST = 0.5, FASTEST = 1.5;

export class Player {
  /** @param {string} track id; @param {number} duration; @param {function} onChange called at every change */
  constructor(track, duration, onChange) {
    this.duration = duration;
    this.onChange = onChange;
    this.synth = new Synth();
    this.loop = { start: 0, end: 0, on: false };
    this.mix = 0; // 0 is the recording, 1 the notes
    this.source = "notes";
    this.parts = { notes: [], chords: [] };
    this.audio = new Audio();
    this.audio.preload = "auto";
    this.audio.preservesPitch = true;
    this.track = track;
    this.audio.src = `/api/tracks/${track}/audio`;
    this.audio.addEventListener("error", () => this.retry());
    for (const event of ["play", "pause", "seeked", "ended", "ratechange"]) {
      this.audio.addEventListener(event, () => {
        this.synth.rewind();
        this.onChange();
      });
    }
    this.timer = setInterval(() => this.tick(), 40);
  }

  get time() {
    return this.audio.currentTime;
  }

  get playing() {
    return !this.audio.paused && !this.audio.ended;
  }

  /** What the browser cannot play the studio copies; after a restart of the studio the file is asked for again. */
  retry() {
    const { code } = this.audio.error;
    if (code === MediaError.MEDIA_ERR_NETWORK) {
      this.broken = true;
    } else if (!this.audio.src.endsWith("?copy")) {
      this.audio.src = `/api/tracks/${this.track}/audio?copy`;
    } else {
      this.onChange("This recording cannot be played: it is gone, or damaged.");
    }
  }

  /** The studio is back. */
  reconnect() {
    if (!this.broken && !this.audio.error) return;
    this.broken = false;
    const at = this.time;
    this.audio.load();
    this.audio.currentTime = at;
  }

  async toggle() {
    this.synth.wake();
    if (this.playing) {
      this.audio.pause();
      return;
    }
    if (this.time >= this.duration - 0.05) this.seek(0);
    if (this.loop.on && (this.time < this.loop.start || this.time >= this.loop.end)) this.seek(this.loop.start);
    try {
      await this.audio.play();
    } catch (error) {
      if (error.name !== "AbortError") this.onChange(`Cannot play: ${error.message}`);
    }
  }

  seek(seconds) {
    this.audio.currentTime = Math.min(Math.max(seconds, 0), this.duration);
    this.synth.rewind();
    this.onChange();
  }

  setSpeed(speed) {
    this.audio.playbackRate = Math.round(100 * Math.min(Math.max(speed, SLOWEST), FASTEST)) / 100;
  }

  setMix(mix) {
    this.mix = Math.min(Math.max(mix, 0), 1);
    this.audio.volume = Math.cos((this.mix * Math.PI) / 2);
    this.synth.setLevel(Math.sin((this.mix * Math.PI) / 2));
    this.onChange();
  }

  /** Loop a region; one without length loops nothing. */
  setLoop(start, end) {
    this.loop = { start, end, on: end - start > 0.05 };
    this.onChange();
  }

  /** Notes that the synthesiser plays instead of, or with, the recording. */
  setNotes(notes) {
    this.parts.notes = notes;
    this.choose(this.source);
  }

  setChords(segments) {
    this.parts.chords = segments.flatMap((segment) =>
      pitches(segment.label).map((pitch) => ({ start: segment.start, end: segment.end, pitch, velocity: 72 })));
    this.choose(this.source);
  }

  /** Let the synthesiser play `notes` or `chords`. */
  choose(source) {
    this.source = source;
    this.synth.setNotes(this.parts[source]);
  }

  audition(midi) {
    if (midi.length) this.synth.audition(midi);
  }

  tick() {
    if (!this.playing) return;
    if (this.loop.on && this.time >= this.loop.end) this.seek(this.loop.start);
    this.synth.tick(this.time, this.audio.playbackRate);
  }

  close() {
    clearInterval(this.timer);
    this.synth.hush();
    this.synth.context?.close();
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load();
  }
}
