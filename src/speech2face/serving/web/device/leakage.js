// Estimates what one recording discloses of its speaker's face, in bits: as Python's
// privacy/leakage_estimate.py, which says how and why.

import { powerSpectrum } from "./fourier.js";
import { cholesky, solveLower } from "./matrices.js";
import { RandomNumbers } from "./random-numbers.js";
import { hann, mean, quantile, sum } from "./statistics.js";

/**
 * What a model is known to disclose; Python's serving/static_page.py writes it. `axes` are the
 * directions in which a voice explains something of a face, whitened by the prior, `shares` how
 * much of each; of the lines of sex and age there are the covariances of all faces (`prior`) and of
 * what an endless clip explains of them.
 * @typedef {{doubt: number, shortness: number, noise: number, narrow: number, deviation: number,
 *   people: number, half_gain_seconds: number, axes: number[][], shares: number[],
 *   lines: null | {axes: number[][], offset: number, prior: number[][], explained: number[][]}
 * }} Calibration
 */
/** @typedef {{rangeDb: number, narrow: boolean}} Waveform */
/**
 * Bits, and shares of a crowd: of the true face among strangers, 0 first, and which it does not
 * exceed in 10, 50 and 90 of 100 cases. `sex` and `age` are null where the model has no lines.
 * @typedef {{bits: number, sex: number | null, age: number | null, meanRank: number,
 *   ranks: number[]}} LeakageEstimate
 */

const DRAWS = 10_000; // faces of the speaker, and of strangers, by which ranks are simulated
const BINS = 20; // of the places of true faces
const LEAST = 1e-3; // of a direction's variance that a voice has to explain to count
const FRAME = 512; // samples
const BANDS = 16; // of 500 Hz
const NARROW = -45; // dB between high and low, below which the sound has come by a telephone

/** Speech at 16 kHz, 0.5 s or longer.
 * @param {Float32Array} samples @returns {Waveform} */
export function measureSound(samples) {
  const window = hann(FRAME);
  /** @type {number[][]} */
  const frames = [];
  for (let start = 0; start + FRAME <= samples.length; start += FRAME / 2) {
    const lines = powerSpectrum(window.map((weight, i) => weight * samples[start + i]));
    const width = (lines.length - 1) / BANDS;
    frames.push(Array.from({ length: BANDS }, (_, band) => 10 * Math.log10(
      mean(lines.subarray(1 + band * width, 1 + (band + 1) * width)) + 1e-12)));
  }
  const [loud, quiet] = [0.95, 0.1].map((share) => Array.from({ length: BANDS }, (_, band) =>
    quantile(frames.map((frame) => frame[band]), share)));
  const above = mean(loud.slice(8, 15)) - mean(loud.slice(0, 7));
  const range = loud.map((level, band) => level - quiet[band]).slice(0, BANDS / 2);
  return { rangeDb: mean(range), narrow: above < NARROW };
}

/** A model's mean and average of a clip of so many seconds → what they say.
 * @param {Float32Array} embedding @param {Float32Array} average @param {number} seconds
 * @param {Waveform} sound @param {Calibration} calibration @returns {LeakageEstimate} */
export function estimateLeakage(embedding, average, seconds, sound, calibration) {
  const { doubt, shortness, noise, narrow } = calibration;
  const unheard = doubt + shortness / seconds + noise * 10 ** (-sound.rangeDb / 10) +
    narrow * Number(sound.narrow);
  const weight = 1 / (1 + unheard);
  const gain = (weight * seconds) / (seconds + calibration.half_gain_seconds);
  const apart = Float64Array.from(embedding, (value, i) => weight * (value - average[i]));
  const explained = calibration.shares.map((share) => gain * share);
  const counted = explained.map((share, i) => ({ share, i })).filter(({ share }) => share > LEAST);
  const places = simulateRanks(
    counted.map(({ i }) => sum(calibration.axes[i].map((value, d) => value * apart[d]))),
    counted.map(({ share }) => Math.max(1 - share, 1e-6)),
  );
  const ranks = [0.1, 0.5, 0.9].map((share) => quantile(places, share));
  const { sex, age } = stateLines(apart, average, gain, calibration);
  return { bits: measureBits(places), sex, age, meanRank: mean(places), ranks };
}

/** Where the true face may stand among strangers, by likelihood ratio: shares, 0 first. Drawn from
 * the stated Gaussian, of which mean and variance are whitened by the prior.
 * @param {number[]} mean @param {number[]} variance */
function simulateRanks(mean, variance) {
  const size = mean.length;
  if (!size) return Float64Array.from({ length: DRAWS }, (_, i) => (i + 0.5) / DRAWS);
  const drawn = draw(size);
  const score = (/** @type {number} */ face, /** @type {number} */ d) =>
    face * face - ((face - mean[d]) * (face - mean[d])) / variance[d];
  const roots = variance.map(Math.sqrt);
  const [strangers, speakers] = [new Float64Array(DRAWS), new Float64Array(DRAWS)];
  for (let i = 0; i < DRAWS; i++) {
    for (let d = 0; d < size; d++) {
      strangers[i] += score(drawn[i * size + d], d);
      speakers[i] += score(mean[d] + roots[d] * drawn[(DRAWS + i) * size + d], d);
    }
  }
  strangers.sort();
  return speakers.map((value) => {
    const before = countBelow(strangers, (other) => other < value) +
      countBelow(strangers, (other) => other <= value);
    return 1 - before / (2 * DRAWS);
  });
}

/** @type {Map<number, Float64Array>} */
const draws = new Map();

/** Strangers and what speakers differ by, `size` numbers each.
 * @param {number} size */
function draw(size) {
  let drawn = draws.get(size);
  if (!drawn) {
    drawn = new RandomNumbers(0).normal(2 * DRAWS * size);
    draws.clear();
    draws.set(size, drawn);
  }
  return drawn;
}

/** How many of ordered numbers, those at the beginning, are so.
 * @param {Float64Array} ordered @param {(number: number) => boolean} is */
function countBelow(ordered, is) {
  let [low, high] = [0, ordered.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (is(ordered[middle])) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Places, 0 first and 1 last → their divergence from uniform, bits, less what chance adds.
 * @param {Float64Array} places */
function measureBits(places) {
  const counts = new Float64Array(BINS);
  for (const place of places) counts[Math.min(Math.floor(place * BINS), BINS - 1)] += 1;
  const parts = counts.filter((count) => count > 0).map((count) => count / places.length);
  const luck = (parts.length - 1) / (2 * places.length * Math.LN2);
  return Math.max(0, sum(parts.map((part) => part * Math.log2(part * BINS))) - luck);
}

/** Bits about sex, and about age among people of one sex.
 * @param {Float64Array} apart @param {Float32Array} average @param {number} gain
 * @param {Calibration} calibration */
function stateLines(apart, average, gain, { lines }) {
  if (!lines) return { sex: null, age: null };
  const shift = lines.axes.map((axis) => sum(axis.map((value, d) => value * apart[d])));
  const after = lines.prior.map((row, a) =>
    row.map((value, b) => value - gain * lines.explained[a][b]));
  const centre = sum(lines.axes[0].map((value, d) => value * average[d])) + lines.offset;
  const both = stateBits(shift, after.flat(), lines.prior.flat(), 2);
  const alone = stateBits(shift.slice(0, 1), [after[0][0]], [lines.prior[0][0]], 1);
  return {
    sex: bitsOfSex(centre, shift[0], after[0][0], lines.prior[0][0]),
    age: both - alone,
  };
}

/** The divergence of a Gaussian from the prior, bits.
 * @param {number[]} mean @param {number[]} covariance @param {number[]} prior
 * @param {number} size */
function stateBits(mean, covariance, prior, size) {
  const factor = cholesky(prior, size);
  const own = cholesky(covariance, size);
  let [trace, logarithm] = [0, 0];
  for (let column = 0; column < size; column++) {
    const entries = Float64Array.from({ length: size }, (_, row) => own[row * size + column]);
    trace += sum(solveLower(factor, entries).map((value) => value ** 2));
    const place = column * (size + 1);
    logarithm += 2 * Math.log(own[place] / factor[place]);
  }
  const far = sum(solveLower(factor, mean).map((value) => value ** 2));
  return (trace + far - size - logarithm) / (2 * Math.LN2);
}

/** Divergence of the probability of a sex, given the voice, from that of everybody, bits.
 * @param {number} centre @param {number} shift @param {number} variance @param {number} prior */
function bitsOfSex(centre, shift, variance, prior) {
  // The mean of a logistic function over a Gaussian (MacKay 1992).
  const probability = (/** @type {number} */ logit, /** @type {number} */ spread) =>
    1 / (1 + Math.exp(-logit / Math.sqrt(1 + (Math.PI * spread) / 8)));
  const after = probability(centre + shift, variance);
  const before = probability(centre, prior);
  return sum([[after, before], [1 - after, 1 - before]].map(([p, q]) =>
    (p > 0 ? p * Math.log2(p / q) : 0)));
}
