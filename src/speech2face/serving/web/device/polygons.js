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
    const heights = points.map(([, y]) => y);
    const top = Math.max(Math.ceil(Math.min(...heights) - 0.5), 0);
    const bottom = Math.min(Math.floor(Math.max(...heights) - 0.5), side - 1);
    const [red, green, blue] = Uint8ClampedArray.from(colour);
    for (let row = top; row <= bottom; row++) {
      const y = row + 0.5;
      /** @type {number[]} */
      const crossings = [];
      points.forEach(([x1, y1], i) => {
        const [x2, y2] = points[(i + 1) % points.length];
        if (y1 <= y !== y2 <= y) crossings.push(x1 + ((y - y1) / (y2 - y1)) * (x2 - x1));
      });
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
    }
  }

  /** The picture, smaller.
   * @param {number} side in pixels */
  finish(side) {
    return resize(this, side);
  }
}
