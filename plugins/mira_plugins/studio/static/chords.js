// Chord symbols in Harte's syntax: shown as players write them, and turned into pitches to hear.

const LETTERS = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };
const TONES = {
  maj: [0, 4, 7], min: [0, 3, 7], 7: [0, 4, 7, 10], maj7: [0, 4, 7, 11], min7: [0, 3, 7, 10], dim: [0, 3, 6],
  dim7: [0, 3, 6, 9], hdim7: [0, 3, 6, 10], minmaj7: [0, 3, 7, 11], aug: [0, 4, 8], sus2: [0, 2, 7], sus4: [0, 5, 7],
  maj6: [0, 4, 7, 9], min6: [0, 3, 7, 9], 9: [0, 4, 7, 10, 14], maj9: [0, 4, 7, 11, 14], min9: [0, 3, 7, 10, 14],
  5: [0, 7], 1: [0], "": [0, 4, 7],
};
const SHOWN = { maj: "", min: "m", min7: "m7", hdim7: "m7b5", maj6: "6", min6: "m6", minmaj7: "m(maj7)", min9: "m9" };
const DEGREES = { 1: 0, 2: 2, 3: 4, 4: 5, 5: 7, 6: 9, 7: 11 };
const FLATS = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"];
const SHARPS = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
const SYMBOL = /^([A-G])([b#]*)(?::([a-z0-9]*)(?:\(.*\))?)?(?:\/([b#]*)([1-7]))?$/;

function accidentals(text) {
  return [...text].reduce((sum, sign) => sum + (sign === "#" ? 1 : -1), 0);
}

/** Take a symbol apart; null for no chord or another text. */
export function parse(label) {
  const found = SYMBOL.exec(label);
  if (!found) return null;
  const [, letter, signs, short = "maj", bassSigns, degree] = found;
  const root = (LETTERS[letter] + accidentals(signs) + 120) % 12;
  const bass = degree ? (root + DEGREES[degree] + accidentals(bassSigns) + 120) % 12 : root;
  return { name: letter + signs, root, short, bass, tones: TONES[short] || TONES.maj };
}

/** Whether a text can be the label of a chord. */
export function isChord(label) {
  return label === "N" || label === "X" || parse(label) !== null;
}

/** A symbol as players write it: A:min7/b3 is Am7/C; `key` decides between flats and sharps. */
export function shown(label, key = "") {
  if (label === "N") return "–";
  const chord = parse(label);
  if (!chord) return label;
  const symbol = chord.name + (SHOWN[chord.short] ?? chord.short);
  if (chord.bass === chord.root) return symbol;
  const flat = chord.name.includes("b") || /^(F|[A-G]b|[CDG] minor)/.test(key);
  return `${symbol}/${(flat ? FLATS : SHARPS)[chord.bass]}`;
}

/** MIDI pitches of a symbol: a bass and the tones above it; none for no chord. */
export function pitches(label) {
  const chord = parse(label);
  if (!chord) return [];
  return [36 + chord.bass, ...chord.tones.map((tone) => 55 + ((chord.root + tone - 55 + 120) % 12))];
}
