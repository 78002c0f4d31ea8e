// The one time line: which seconds are on screen. Every lane draws by it.

const CLOSEST = 2000;

export class Timeline {
  /** @param {number} duration seconds */
  constructor(duration) {
    this.duration = duration;
    this.width = 800;
    this.start = 0;
    this.scale = 10;
    this.listeners = [];
    this.fit();
  }

  /** Last second on screen. */
  get end() {
    return this.start + this.width / this.scale;
  }

  x(seconds) {
    return (seconds - this.start) * this.scale;
  }

  seconds(x) {
    return Math.min(Math.max(this.start + x / this.scale, 0), this.duration);
  }

  onChange(listener) {
    this.listeners.push(listener);
  }

  resize(width) {
    const whole = this.scale <= this.width / this.duration + 1e-9;
    this.width = Math.max(width, 50);
    if (whole) this.fit();
    else this.show(this.start);
  }

  /** Show the whole recording. */
  fit() {
    this.scale = this.width / this.duration;
    this.show(0);
  }

  /** Zoom by a factor; the second at pixel `x` stays where it is. */
  zoom(factor, x = this.width / 2) {
    const fixed = this.start + x / this.scale;
    this.scale = Math.min(Math.max(this.scale * factor, this.width / this.duration), CLOSEST);
    this.show(fixed - x / this.scale);
  }

  /** Let the screen begin at a second, as far as there is music. */
  show(start) {
    this.start = Math.min(Math.max(start, 0), Math.max(this.duration - this.width / this.scale, 0));
    const shown = `${this.start} ${this.scale} ${this.width}`;
    if (shown === this.shown) return;
    this.shown = shown;
    for (const listener of this.listeners) listener();
  }

  /** Turn the page if a second has left the screen. */
  follow(seconds) {
    if (seconds < this.start || seconds > this.end) this.show(seconds - 0.05 * (this.width / this.scale));
  }

  /** Seconds between the lines of a grid that leaves room for labels. */
  step() {
    for (const step of [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600]) {
      if (step * this.scale >= 70) return step;
    }
    return 1800;
  }
}
