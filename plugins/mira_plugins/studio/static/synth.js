// Plays notes with Web Audio, scheduled a little ahead of the recording's own clock.

const AHEAD = 0.25;
const VOICES = 48;

export class Synth {
  constructor() {
    this.context = null;
    this.notes = [];
    this.level = 0;
    this.sounding = new Set();
    this.next = 0;
  }

  /** Browsers let sound begin only after a key or a click. */
  wake() {
    if (!this.context) {
      this.context = new AudioContext();
      this.master = new GainNode(this.context, { gain: this.level });
      const squeeze = new DynamicsCompressorNode(this.context, { threshold: -18, ratio: 8 });
      this.master.connect(squeeze).connect(this.context.destination);
    }
    this.context.resume();
  }

  /** Loudness, 0 to 1. */
  setLevel(level) {
    this.level = level;
    this.master?.gain.setTargetAtTime(level, this.context.currentTime, 0.02);
  }

  /** What is played: objects with start, end, pitch, velocity, sorted by start. */
  setNotes(notes) {
    this.notes = notes;
    this.rewind();
  }

  /** Forget what is scheduled; the next tick begins anew. */
  rewind() {
    this.hush();
    this.next = -1;
  }

  /** Schedule what begins soon after `seconds` of the recording, which runs at `rate`. */
  tick(seconds, rate) {
    if (!this.context || this.level < 0.001) {
      this.next = -1;
      return;
    }
    if (this.next < 0) {
      this.next = this.notes.findIndex((note) => note.start >= seconds - 0.02);
      if (this.next < 0) this.next = this.notes.length;
    }
    for (; this.next < this.notes.length; this.next++) {
      const note = this.notes[this.next];
      if (note.start > seconds + AHEAD * rate) break;
      if (this.sounding.size >= VOICES) continue;
      const at = this.context.currentTime + Math.max(note.start - seconds, 0) / rate;
      this.voice(note.pitch, at, Math.min((note.end - note.start) / rate, 8), note.velocity, this.master);
    }
  }

  /** Let pitches sound now, whatever else is going on. */
  audition(pitches, length = 0.7) {
    this.wake();
    const out = new GainNode(this.context, { gain: 0.8 });
    out.connect(this.context.destination);
    for (const pitch of pitches) this.voice(pitch, this.context.currentTime + 0.01, length, 80, out);
  }

  voice(pitch, at, length, velocity, out) {
    const loud = 0.22 * (velocity / 127) ** 1.4;
    const tone = new OscillatorNode(this.context, { type: "triangle", frequency: 440 * 2 ** ((pitch - 69) / 12) });
    const envelope = new GainNode(this.context, { gain: 0 });
    envelope.gain.setValueAtTime(0, at);
    envelope.gain.linearRampToValueAtTime(loud, at + 0.006);
    envelope.gain.setTargetAtTime(loud * 0.45, at + 0.006, 0.35);
    envelope.gain.setTargetAtTime(0, at + length, 0.04);
    tone.connect(envelope).connect(out);
    tone.start(at);
    tone.stop(at + length + 0.3);
    this.sounding.add(tone);
    tone.onended = () => {
      this.sounding.delete(tone);
      envelope.disconnect();
    };
  }

  /** Stop everything. */
  hush() {
    for (const tone of this.sounding) tone.stop();
    this.sounding.clear();
  }
}
