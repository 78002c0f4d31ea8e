// The spectrogram: tiles of bytes from the studio, coloured here once, drawn at any zoom.

import { ask } from "./api.js";
import { onTheme, shades } from "./theme.js";

const KEPT = 160;

export class Spectrogram {
  /** @param {object} picture as the studio describes it; @param {function} onTile called when one has come */
  constructor(track, picture, onTile) {
    this.track = track;
    this.picture = picture;
    this.onTile = onTile;
    this.tiles = new Map();
    this.table = shades();
    onTheme(() => {
      this.table = shades();
      for (const tile of this.tiles.values()) if (tile.bytes) tile.canvas = this.coloured(tile.bytes);
    });
  }

  /** Draw the seconds of the time line; `y(pitch)` is where a pitch lies. */
  paint(context, time, y) {
    const { hop_s, tile, levels, frames, bins, first_pitch, bins_per_semitone } = this.picture;
    if (!frames) return;
    const wanted = Math.floor(Math.log2(1 / (time.scale * hop_s)));
    const level = Math.min(Math.max(wanted, 0), levels - 1);
    const span = tile * 2 ** level * hop_s;
    const half = 0.5 / bins_per_semitone;
    const bottom = y(first_pitch - half), top = y(first_pitch + (bins - 1) / bins_per_semitone + half);
    context.imageSmoothingEnabled = false;
    const last = Math.min(Math.floor(time.end / span), Math.ceil(frames / (tile * 2 ** level)) - 1);
    for (let i = Math.max(Math.floor(time.start / span), 0); i <= last; i++) {
      const canvas = this.tile(level, i);
      if (!canvas) continue;
      // A frame is centred on its time, so a tile begins half a frame earlier.
      const left = time.x(i * span - hop_s / 2);
      const width = canvas.width * 2 ** level * hop_s * time.scale;
      context.drawImage(canvas, left, top, width, bottom - top);
    }
  }

  tile(level, index) {
    const key = `${level}/${index}`;
    const known = this.tiles.get(key);
    if (known) {
      this.tiles.delete(key);
      this.tiles.set(key, known);
      return known.canvas;
    }
    const fresh = { canvas: null, bytes: null };
    this.tiles.set(key, fresh);
    if (this.tiles.size > KEPT) this.tiles.delete(this.tiles.keys().next().value);
    ask(`tracks/${this.track.id}/tiles/${key}`, { raw: true })
      .then((response) => response.arrayBuffer())
      .then((buffer) => {
        fresh.bytes = new Uint8Array(buffer);
        fresh.canvas = this.coloured(fresh.bytes);
        this.onTile();
      })
      .catch(() => this.tiles.delete(key)); // asked for again when it is next on screen
    return null;
  }

  coloured(bytes) {
    const { bins } = this.picture;
    const width = bytes.length / bins;
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = bins;
    const context = canvas.getContext("2d", { alpha: false });
    const image = context.createImageData(width, bins);
    const pixels = new Uint32Array(image.data.buffer);
    const table = new Uint32Array(this.table.buffer);
    for (let column = 0; column < width; column++) {
      for (let bin = 0; bin < bins; bin++) pixels[(bins - 1 - bin) * width + column] = table[bytes[column * bins + bin]];
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }
}
