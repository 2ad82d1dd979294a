// The watermark of drawn pictures, as Python's watermark.py adds it; the numbers here are its.

import { makeTaps } from "./pixels.js";

/** @typedef {import("./pixels.js").Picture} Picture */
/** Grey levels, or what is made of them. @typedef {{width: number, height: number,
 *   values: Float64Array}} Field */
/** @typedef {{reach: number, weigh: (x: number) => number}} Filter */

const SIDE = 224; // pixels of the frame in which the pattern is added
const CELLS = 96;
const BITS = 8;
const SHARED = 0.5;
const LEAST_SIZE = 96;
const [SHARED_TARGET, BIT_TARGET] = [9, 4];
const [LEAST_GAIN, MOST_GAIN, TRIED] = [0.5, 2, 0.85];
const [FACE, MOST_TEXTURE] = [[0.3, 0.45], 6];
const [ILLUSTRATION, LEVEL, FLAT_SHARE] = [[1.3, 0.1], 0.1, 0.1];
const [PAPER, FADE] = [250, 60];
const [COARSE, EVEN, FINE] = [2, 6, 3];
const CHANCE = 1.9;

/** Pillow's filters. @type {Record<string, Filter>} */
const FILTERS = {
  box: { reach: 0.5, weigh: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { reach: 1, weigh: (x) => Math.max(1 - Math.abs(x), 0) },
  bicubic: {
    reach: 2,
    weigh: (x) => {
      const far = Math.abs(x);
      if (far < 1) return (1.5 * far - 2.5) * far * far + 1;
      return far < 2 ? ((2.5 - 0.5 * far) * far - 4) * far + 2 : 0;
    },
  },
};

/** A picture → the same with the pattern in it; a small one has no room and stays as it is.
 * @param {Picture} picture @param {number} number of the model, 0 to 255 @returns {Picture} */
export function addMark({ side, pixels }, number) {
  if (side < LEAST_SIZE) return { side, pixels };
  const grey = map(side, (i) =>
    0.299 * pixels[3 * i] + 0.587 * pixels[3 * i + 1] + 0.114 * pixels[3 * i + 2]);
  const small = makePattern(side === SIDE ? grey : resize(grey, SIDE, SIDE, FILTERS.box), number);
  const delta = side === SIDE ? small : resize(small, side, side, FILTERS.bicubic);
  const marked = new Uint8ClampedArray(pixels); // which rounds and bounds what is put into it
  delta.values.forEach((value, i) => {
    if (side !== SIDE && grey.values[i] >= PAPER) return;
    for (let channel = 0; channel < 3; channel++) marked[3 * i + channel] += value;
  });
  return { side, pixels: marked };
}

/** What is added to each pixel of a frame. @param {Field} grey @param {number} number */
function makePattern(grey, number) {
  const { signs, groups } = layOutCells();
  const squares = measurePower(takeDetail(grey));
  let [drawn, flat] = [0, 0]; // pixels that are not white, and those of one colour with others
  const texture = map(SIDE, (i) => {
    const deviation = Math.sqrt(squares.values[i]);
    if (grey.values[i] < PAPER) {
      drawn += 1;
      if (deviation < LEVEL) flat += 1;
    }
    return deviation;
  });
  const illustrated = Math.min(flat / Math.max(drawn, 1) / FLAT_SHARE, 1);
  const [least, more] = FACE.map((face, i) => face + illustrated * (ILLUSTRATION[i] - face));
  const strength = map(SIDE, (i) => {
    const room = clip((PAPER - grey.values[i]) / FADE, 0, 1);
    return (least + more * Math.min(texture.values[i], MOST_TEXTURE)) * room;
  });
  const wanted = Array.from({ length: BITS + 1 }, (_, bit) =>
    (bit === BITS || (number >> bit) & 1 ? 1 : -1));
  const before = score(grey);
  const trial = grow(map(CELLS, (i) => signs[i] * wanted[groups[i]] * TRIED));
  const after = score(map(SIDE, (i) =>
    grey.values[i] + roundToEven(strength.values[i] * trial.values[i])));
  const gains = wanted.map((sign, group) => {
    const slope = Math.max((sign * (after[group] - before[group])) / TRIED, 1e-3);
    const target = group === BITS ? SHARED_TARGET : BIT_TARGET;
    return clip((target - sign * before[group]) / slope, Math.max(LEAST_GAIN, illustrated), MOST_GAIN);
  });
  const pattern = grow(map(CELLS, (i) => signs[i] * wanted[groups[i]] * gains[groups[i]]));
  return map(SIDE, (i) => strength.values[i] * pattern.values[i]);
}

/** How far each group of cells stands out. @param {Field} grey */
function score(grey) {
  const { signs, groups } = layOutCells();
  const details = flatten(grey);
  const cells = gather(details);
  const sums = new Float64Array(BITS + 1);
  cells.values.forEach((value, i) => (sums[groups[i]] += value * signs[i]));
  const spread = Math.max(deviate(details.values), 1e-6) * CHANCE;
  return sums.map((sum, group) => sum / (spread * measureEnergies()[group]));
}

/** Grey levels → details alone, nearly as strong in hair as on skin. @param {Field} grey */
function flatten(grey) {
  const detail = takeDetail(grey);
  const squares = measurePower(detail);
  const even = map(SIDE, (i) => {
    const deviation = Math.sqrt(squares.values[i] + 0.1);
    return clip(detail.values[i] / deviation, -2, 2) / Math.sqrt(deviation);
  });
  return subtract(even, blur(even, FINE));
}

/** What is finer than `COARSE` pixels. @param {Field} grey */
function takeDetail(grey) {
  return subtract(grey, blur(grey, COARSE));
}

/** Mean squares around each pixel. @param {Field} detail */
function measurePower(detail) {
  return blur(map(SIDE, (i) => detail.values[i] ** 2), EVEN);
}

/** @param {Field} whole @param {Field} part */
function subtract(whole, part) {
  return map(SIDE, (i) => whole.values[i] - part.values[i]);
}

/** @type {{signs: Int8Array, groups: Uint8Array} | undefined} */
let cells;

/** Signs of the cells, and which bit each carries; `BITS` is the shared group. */
export function layOutCells() {
  if (cells) return cells;
  const signs = new Int8Array(CELLS * CELLS);
  const groups = new Uint8Array(CELLS * CELLS);
  let state = 0x5f2f19;
  for (let place = -64; place < signs.length; place++) { // Marsaglia, "Xorshift RNGs", 2003
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    if (place < 0) continue;
    signs[place] = state < 0 ? 1 : -1;
    const share = ((state >>> 7) & 0xffff) / 0x10000;
    groups[place] = share < SHARED ? BITS : Math.trunc(((share - SHARED) / (1 - SHARED)) * BITS);
  }
  return (cells = { signs, groups });
}

/** @type {number[] | undefined} */
let energies;

function measureEnergies() {
  const { signs, groups } = layOutCells();
  return (energies ??= Array.from({ length: BITS + 1 }, (_, group) => {
    const grown = grow(map(CELLS, (i) => (groups[i] === group ? signs[i] : 0)));
    return Math.sqrt(grown.values.reduce((sum, value) => sum + value * value, 0));
  }));
}

/** Cells → pixels. @param {Field} field */
const grow = (field) => resize(field, SIDE, SIDE, FILTERS.bicubic);

/** The transpose of `grow`: what each cell finds in the pixels. @param {Field} field @returns {Field} */
function gather(field) {
  const taps = makeTaps(CELLS, SIDE, FILTERS.bicubic);
  const rows = new Float64Array(CELLS * SIDE);
  taps.forEach(({ first, weights }, y) => weights.forEach((weight, k) => {
    const to = (first + k) * SIDE;
    for (let x = 0; x < SIDE; x++) rows[to + x] += weight * field.values[y * SIDE + x];
  }));
  const values = new Float64Array(CELLS * CELLS);
  taps.forEach(({ first, weights }, x) => weights.forEach((weight, k) => {
    for (let y = 0; y < CELLS; y++) values[y * CELLS + first + k] += weight * rows[y * SIDE + x];
  }));
  return { width: CELLS, height: CELLS, values };
}

/** Means over about so many pixels each way, from one to the next in straight lines.
 * @param {Field} field @param {number} pixels */
function blur(field, pixels) {
  const side = Math.max(Math.round(SIDE / pixels), 1);
  return resize(resize(field, side, side, FILTERS.box), SIDE, SIDE, FILTERS.bilinear);
}

/** @param {Field} field @param {number} width @param {number} height @param {Filter} filter
 * @returns {Field} */
function resize(field, width, height, filter) {
  const across = makeTaps(field.width, width, filter);
  const wide = new Float64Array(width * field.height);
  for (let y = 0; y < field.height; y++) {
    across.forEach(({ first, weights }, x) => {
      const from = y * field.width + first;
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * field.values[from + k];
      wide[y * width + x] = sum;
    });
  }
  const values = new Float64Array(width * height);
  makeTaps(field.height, height, filter).forEach(({ first, weights }, y) => {
    for (let k = 0; k < weights.length; k++) {
      const from = (first + k) * width;
      for (let x = 0; x < width; x++) values[y * width + x] += weights[k] * wide[from + x];
    }
  });
  return { width, height, values };
}

/** @param {number} side @param {(place: number) => number} make @returns {Field} */
function map(side, make) {
  const values = new Float64Array(side * side);
  for (let i = 0; i < values.length; i++) values[i] = make(i);
  return { width: side, height: side, values };
}

/** @param {Float64Array} values */
function deviate(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

/** @param {number} value @param {number} least @param {number} most */
const clip = (value, least, most) => Math.min(Math.max(value, least), most);

/** @param {number} value */
function roundToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}
