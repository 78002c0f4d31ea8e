// Labelled stretches (chords, sections) as the page holds them. As with notes, nothing is changed in place.

/** Segments of a result's columns. */
export function fromResult(result) {
  return result.start_s.map((start, i) => ({
    start,
    end: result.end_s[i],
    label: result.label[i],
    confidence: result.confidence[i],
    alternatives: result.alternatives ? result.alternatives[i] : null,
  }));
}

/** Columns of a result, with what is not a column taken from `result`. */
export function toResult(segments, result) {
  const columns = {
    start_s: segments.map((segment) => segment.start),
    end_s: segments.map((segment) => segment.end),
    label: segments.map((segment) => segment.label),
    confidence: segments.map((segment) => segment.confidence),
  };
  if (result.alternatives) columns.alternatives = segments.map((segment) => segment.alternatives || []);
  return { ...result, ...columns };
}

/** Give the segment at an index another label; somebody chose it, so it is sure. */
export function renamed(segments, index, label) {
  return segments.with(index, { ...segments[index], label, confidence: 1 });
}

/** Cut the segment at an index in two. */
export function split(segments, index, seconds) {
  const whole = segments[index];
  if (seconds <= whole.start + 0.01 || seconds >= whole.end - 0.01) return segments;
  return segments.toSpliced(index, 1, { ...whole, end: seconds }, { ...whole, start: seconds });
}

/** Join the segment at an index with the next; the label of the first stays. */
export function joined(segments, index) {
  if (index + 1 >= segments.length) return segments;
  return segments.toSpliced(index, 2, { ...segments[index], end: segments[index + 1].end });
}

/** Move the boundary between a segment and the one before it. */
export function shifted(segments, index, seconds) {
  const before = segments[index - 1], after = segments[index];
  const at = Math.min(Math.max(seconds, before.start + 0.05), after.end - 0.05);
  return segments.toSpliced(index - 1, 2, { ...before, end: at }, { ...after, start: at });
}
