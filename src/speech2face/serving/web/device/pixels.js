// Pictures as rows of RGB bytes, made larger or smaller by Lanczos's filter, as Pillow does it.

/** @typedef {{side: number, pixels: Uint8ClampedArray}} Picture RGB, `side` pixels wide and high */

const LOBES = 3;

/** Values from 0 to 1 of the decoder, plane by plane → a picture.
 * @param {Float32Array} planes (3, side, side) @param {number} side @returns {Picture} */
export function readPlanes(planes, side) {
  const count = side * side;
  const pixels = new Uint8ClampedArray(3 * count);
  for (let plane = 0; plane < 3; plane++) {
    for (let i = 0; i < count; i++) pixels[3 * i + plane] = 255 * planes[plane * count + i];
  }
  return { side, pixels };
}

/** @param {Picture} picture @param {number} side @returns {Picture} */
export function resize(picture, side) {
  if (side === picture.side) return picture;
  const taps = makeTaps(picture.side, side);
  const { side: before, pixels } = picture;
  const wide = new Uint8ClampedArray(3 * side * before);
  for (let y = 0; y < before; y++) {
    for (let x = 0; x < side; x++) {
      const { first, weights } = taps[x];
      let [red, green, blue] = [0, 0, 0];
      for (let k = 0, at = 3 * (y * before + first); k < weights.length; k++, at += 3) {
        red += weights[k] * pixels[at];
        green += weights[k] * pixels[at + 1];
        blue += weights[k] * pixels[at + 2];
      }
      const to = 3 * (y * side + x);
      [wide[to], wide[to + 1], wide[to + 2]] = [red, green, blue];
    }
  }
  const result = new Uint8ClampedArray(3 * side * side);
  const row = new Float64Array(3 * side);
  for (let y = 0; y < side; y++) {
    const { first, weights } = taps[y];
    row.fill(0);
    for (let k = 0; k < weights.length; k++) {
      const from = 3 * side * (first + k);
      for (let i = 0; i < row.length; i++) row[i] += weights[k] * wide[from + i];
    }
    result.set(row, 3 * side * y);
  }
  return { side, pixels: result };
}

/** For each new pixel of a row, which of the old ones it is made of.
 * @param {number} before @param {number} after
 * @param {{reach: number, weigh: (x: number) => number}} filter */
export function makeTaps(before, after, filter = { reach: LOBES, weigh: lanczos }) {
  const scale = before / after;
  const widened = Math.max(scale, 1);
  const reach = filter.reach * widened;
  return Array.from({ length: after }, (_, place) => {
    const middle = (place + 0.5) * scale;
    const first = Math.max(Math.trunc(middle - reach + 0.5), 0);
    const last = Math.min(Math.trunc(middle + reach + 0.5), before);
    const weights = Float64Array.from({ length: last - first }, (_, k) =>
      filter.weigh((first + k - middle + 0.5) / widened));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}

/** @param {number} x */
function lanczos(x) {
  if (Math.abs(x) >= LOBES) return 0;
  return sinc(x) * sinc(x / LOBES);
}

/** @param {number} x */
const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
