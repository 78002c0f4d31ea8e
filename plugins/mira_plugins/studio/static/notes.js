// Notes as the page holds them, and what can be done to them. Arrays and notes are replaced, never changed,
// so that undo is to put an old array back.

const NAMES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
const SHORTEST = 0.02;

/** Name of a MIDI pitch; 60 is C4. */
export function noteName(pitch) {
  return `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;
}

/** Notes of a result's columns. */
export function fromResult(result) {
  return result.start_s.map((start, i) => ({
    start,
    end: result.end_s[i],
    pitch: result.pitch[i],
    velocity: result.velocity[i],
    confidence: result.confidence[i],
    bends: result.bends ? result.bends[i] : null,
  }));
}

/** Columns of a result, with what is not a column taken from `result`. */
export function toResult(notes, result) {
  const columns = {
    start_s: notes.map((note) => note.start),
    end_s: notes.map((note) => note.end),
    pitch: notes.map((note) => note.pitch),
    velocity: notes.map((note) => note.velocity),
    confidence: notes.map((note) => note.confidence),
  };
  const { bends, ...others } = result;
  if (notes.some((note) => note.bends)) columns.bends = notes.map((note) => note.bends || [[0, 0]]);
  return { ...others, ...columns };
}

/** Sort, and end a note where the next of its pitch begins. */
export function tidy(notes) {
  const sorted = notes.slice().sort((a, b) => a.start - b.start || a.pitch - b.pitch);
  const last = new Map();
  const kept = [];
  for (const note of sorted) {
    const before = last.get(note.pitch);
    if (before !== undefined && kept[before].end > note.start) {
      kept[before] = { ...kept[before], end: note.start };
    }
    last.set(note.pitch, kept.length);
    kept.push(note);
  }
  return kept.filter((note) => note.end > note.start);
}

/** Move notes by seconds and semitones, as far as there is room. */
export function moved(note, seconds, semitones, duration) {
  const by = Math.min(Math.max(seconds, -note.start), duration - note.end);
  return {
    ...note,
    start: note.start + by,
    end: note.end + by,
    pitch: Math.min(Math.max(note.pitch + semitones, 0), 127),
  };
}

/** Let a note end elsewhere. */
export function resized(note, end, duration) {
  return { ...note, end: Math.min(Math.max(end, note.start + SHORTEST), duration) };
}

/** A note made by hand. */
export function made(start, pitch, duration, seconds = 0.25) {
  const from = Math.min(Math.max(start, 0), duration - SHORTEST);
  const end = Math.min(from + seconds, duration);
  return { start: from, end, pitch, velocity: 80, confidence: 1, bends: null };
}
