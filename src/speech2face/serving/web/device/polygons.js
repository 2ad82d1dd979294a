// Polygons filled with flat colours, on a sheet that is larger than the picture it becomes.

import { resize } from "./pixels.js";

export class Sheet {
  /** White. @param {number} side in pixels */
  constructor(side) {
    this.side = side;
    this.pixels = new Uint8ClampedArray(3 * side * side).fill(255);
  }

  /** What lies inside an odd number of times.
   * @param {[x: number, y: number][]} points in pixels @param {number[]} colour 0 to 255 */
  fill(points, colour) {
    const { side, pixels } = this;
    const [red, green, blue] = Uint8ClampedArray.from(colour);
    this.#findCrossings(points).forEach((crossings, row) => {
      crossings.sort((a, b) => a - b);
      for (let i = 0; i + 1 < crossings.length; i += 2) {
        const first = Math.max(Math.ceil(crossings[i] - 0.5), 0);
        const last = Math.min(Math.floor(crossings[i + 1] - 0.5), side - 1);
        for (let x = first, at = 3 * (row * side + first); x <= last; x++, at += 3) {
          pixels[at] = red;
          pixels[at + 1] = green;
          pixels[at + 2] = blue;
        }
      }
    });
  }

  /** Of each row, where the middle of its pixels is crossed by an edge.
   * @param {[x: number, y: number][]} points */
  #findCrossings(points) {
    /** @type {Map<number, number[]>} */
    const rows = new Map();
    points.forEach(([x1, y1], i) => {
      const [x2, y2] = points[(i + 1) % points.length];
      const first = Math.max(Math.ceil(Math.min(y1, y2) - 0.5), 0);
      const last = Math.min(Math.ceil(Math.max(y1, y2) - 0.5), this.side);
      const slope = (x2 - x1) / (y2 - y1);
      for (let row = first; row < last; row++) {
        const x = x1 + slope * (row + 0.5 - y1);
        const there = rows.get(row);
        if (there) there.push(x);
        else rows.set(row, [x]);
      }
    });
    return rows;
  }

  /** The picture, smaller.
   * @param {number} side in pixels */
  finish(side) {
    return resize(this.side >= 4 * side ? halve(this) : this, side);
  }
}

/** Half as wide and high: the means of four pixels. Much sooner done than all of it by `resize`.
 * @param {import("./pixels.js").Picture} picture @returns {import("./pixels.js").Picture} */
function halve({ side, pixels }) {
  const half = side / 2;
  const means = new Uint8ClampedArray(3 * half * half);
  for (let row = 0, to = 0; row < half; row++) {
    for (let x = 0, at = 6 * side * row; x < half; x++, at += 6) {
      for (let channel = at; channel < at + 3; channel++, to++) {
        const below = channel + 3 * side;
        means[to] =
          (pixels[channel] + pixels[channel + 3] + pixels[below] + pixels[below + 3]) / 4;
      }
    }
  }
  return { side: half, pixels: means };
}
