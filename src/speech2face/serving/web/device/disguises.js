// Finds disguised voices, by a file's mark or by a small classifier: as Python's
// disguise_detection.py and disguise_metadata.py, which say how and why.

import { fromSpectrum, spectrumOf } from "./fourier.js";
import { RATE } from "./resampler.js";
import {
  argmax, clip, deviation, greatest, hann, mean, median, power, quantile, sum,
} from "./statistics.js";

/** @typedef {import("./fourier.js").Spectrum} Spectrum */
/** @typedef {{by: "mark" | "detector" | null, method: string | null, probability: number}} Disguise */
/**
 * The numbers of the classifier: standardised figures, hidden units, a logit.
 * @typedef {{mean: number[], deviation: number[], hidden: number[][], hidden_offset: number[],
 *   weights: number[], offset: number, threshold: number}} Classifier
 */

const FRAME = 512; // samples, 32 ms
const HOP = 160;
const BANDS = 32; // of 250 Hz
const CEPSTRUM = 20; // coefficients of the bands' cosine transform
const QUEFRENCIES = 32; // of the cepstrum that are envelope; finer is pitch
const COARSE = 8; // bands of 1 kHz in which the fine structure is described
const MOST_FRAMES = 160; // whose fine structure is measured, evenly from all of the speech
const AUDIBLE = 35; // dB below the loudest frame: what is quieter is not looked at
const FIRST_LAG = RATE / 400; // samples of a pitch period
const LAST_LAG = Math.floor(RATE / 60);
const VOICED = 0.4; // of the whitened autocorrelation at the pitch's lag
const FURTHEST = 6; // standard deviations at which a figure is clipped
const USUAL_PITCH = [7.3, 0.3]; // of a voice without one; the share of voiced frames tells
const WINDOW = hann(FRAME);
const MARK = /software=speech2face version=[\w.+-]{1,40} method=([\w-]{1,40})\b/g;
const SEVERAL = "several"; // the method of what was disguised more than once
const SEARCHED = 2 ** 20; // bytes at both ends of a file in which a mark may lie

/** Speech at 16 kHz, 0.5 s or longer, and its file's mark → whether it is disguised.
 * @param {Float32Array} speech @param {string | null} mark @param {Classifier} classifier
 * @returns {Disguise} */
export function findDisguise(speech, mark, classifier) {
  const units = classifier.hidden_offset.slice();
  describe(speech).forEach((figure, i) => {
    const standard = (figure - classifier.mean[i]) / classifier.deviation[i];
    const bounded = clip(standard, -FURTHEST, FURTHEST);
    classifier.hidden[i].forEach((weight, unit) => (units[unit] += weight * bounded));
  });
  const logit = classifier.offset +
    sum(units.map((unit, i) => Math.tanh(unit) * classifier.weights[i]));
  const probability = 0.5 + 0.5 * Math.tanh(0.5 * logit);
  if (mark) return { by: "mark", method: mark, probability };
  return { by: probability >= classifier.threshold ? "detector" : null, method: null, probability };
}

/** The method that a file's mark names, wherever its metadata lie; null where there is no mark.
 * @param {ArrayBuffer} file */
export function findMark(file) {
  const parts = [new Uint8Array(file, 0, Math.min(SEARCHED, file.byteLength))];
  if (file.byteLength > SEARCHED) parts.push(new Uint8Array(file).subarray(-SEARCHED));
  const methods = new Set(parts.flatMap((bytes) => {
    const letters = bytes.filter((byte) => byte !== 0); // text of two bytes a letter, too
    const text = new TextDecoder("latin1").decode(letters);
    return [...text.matchAll(MARK)].map(([, method]) => method);
  }));
  return methods.size > 1 ? SEVERAL : [...methods][0] ?? null;
}

/** The figures of a voice, whatever its level.
 * @param {Float32Array} samples */
export function describe(samples) {
  const count = Math.floor((samples.length - FRAME) / HOP) + 1;
  const frames = Array.from({ length: count }, (_, i) =>
    new Float64Array(samples.subarray(i * HOP, i * HOP + FRAME)));
  const energies = frames.map((frame) => sum(frame.map((value) => value * value)));
  const least = greatest(energies) * 10 ** (-AUDIBLE / 10);
  const audible = energies.map((energy) => energy > least);
  const spectra = frames.map((frame) => spectrumOf(frame.map((value, i) => value * WINDOW[i])));
  const powers = spectra.map(({ real, imaginary }) =>
    real.map((value, line) => value * value + imaginary[line] * imaginary[line]));
  const floor = 1e-9 * mean(powers.filter((_, i) => audible[i]).map(mean));
  for (const lines of powers) lines.forEach((value, line) => (lines[line] = value + floor));
  const places = audible.flatMap((is, i) => (is ? [i] : []));
  const step = Math.ceil(places.length / MOST_FRAMES);
  const chosen = places.filter((_, i) => i % step === 0);
  const logarithms = chosen.map((i) => powers[i].map(Math.log));
  const cepstra = logarithms.map((logarithm) => {
    const cepstrum = fromSpectrum(logarithm);
    return cepstrum.fill(0, QUEFRENCIES, FRAME - QUEFRENCIES + 1);
  });
  const rest = logarithms.map((logarithm, i) => {
    const envelope = spectrumOf(cepstra[i]).real;
    return logarithm.map((value, line) => value - envelope[line]);
  });
  return [
    ...describeEnvelope(powers, audible),
    ...describeFineStructure(rest),
    ...describeExcitation(chosen.map((i) => spectra[i]), cepstra),
    ...describeWave(samples, chosen.map((i) => frames[i])),
  ];
}

/** Each column of rows of numbers.
 * @param {ArrayLike<number>[]} rows */
const columns = (rows) =>
  Array.from({ length: rows[0].length }, (_, i) => rows.map((row) => row[i]));

/** Bands of the lines of a spectrum but its first.
 * @param {Float64Array} lines @param {number} count */
function cutBands(lines, count) {
  const width = (lines.length - 1) / count;
  return Array.from({ length: count }, (_, band) =>
    lines.subarray(1 + band * width, 1 + (band + 1) * width));
}

/** Means of the cepstrum, and deviations of it and of its first two differences.
 * @param {Float64Array[]} powers @param {boolean[]} audible */
function describeEnvelope(powers, audible) {
  const cosines = Array.from({ length: CEPSTRUM }, (_, k) => Array.from({ length: BANDS }, (_, b) =>
    Math.sqrt(2 / BANDS) * Math.cos((Math.PI / BANDS) * (b + 0.5) * (k + 1))));
  const cepstrum = powers.map((lines) => {
    const bands = cutBands(lines, BANDS).map((band) => Math.log(mean(band)));
    return cosines.map((row) => {
      let total = 0;
      for (let band = 0; band < BANDS; band++) total += row[band] * bands[band];
      return total;
    });
  });
  /** @type {number[][]} */
  const steps = [];
  /** @type {number[][]} */
  const bends = [];
  for (let i = 1; i + 1 < cepstrum.length; i++) {
    if (!audible[i]) continue;
    const [before, here, after] = cepstrum.slice(i - 1, i + 2);
    steps.push(after.map((value, k) => value - before[k]));
    bends.push(after.map((value, k) => value - 2 * here[k] + before[k]));
  }
  const heard = cepstrum.filter((_, i) => audible[i]);
  const spreads = [heard, steps, bends].flatMap((rows) =>
    columns(rows).map((column) => Math.log(deviation(column) + 1e-3)));
  return [...columns(heard).map(mean), ...spreads];
}

/** How the spectrum scatters around its envelope, by bands, and how periodic the sound is.
 * @param {Float64Array[]} rest */
function describeFineStructure(rest) {
  const moments = rest.map((lines) => cutBands(lines, COARSE).map((band) => {
    const middle = mean(band);
    const apart = band.map((value) => value - middle);
    return { square: power(apart), cube: mean(apart.map((value) => value * value * value)) };
  }));
  const bands = columns(moments.map((row) => row.map(({ square }) => square))).map(mean);
  const cubes = columns(moments.map((row) => row.map(({ cube }) => cube))).map(mean);
  /** @type {number[]} */
  const strengths = [];
  /** @type {number[]} */
  const pitches = [];
  for (const lines of rest) {
    const periodic = fromSpectrum(lines.map((value) => Math.exp(clip(value, -3, 3))));
    const lags = periodic.slice(FIRST_LAG, LAST_LAG).map((value) => value / periodic[0]);
    const best = argmax(lags);
    strengths.push(lags[best]);
    pitches.push(Math.log2(RATE / (best + FIRST_LAG)));
  }
  const voiced = pitches.filter((_, i) => strengths[i] > VOICED);
  const course = voiced.length >= 5
    ? [median(voiced), quantile(voiced, 0.75) - quantile(voiced, 0.25)]
    : USUAL_PITCH;
  return [
    ...bands.map(Math.log),
    ...cubes.map((cube, band) => cube / bands[band] ** 1.5),
    ...[0.1, 0.5, 0.9].map((share) => quantile(strengths, share)),
    voiced.length / rest.length,
    ...course,
  ];
}

/** How peaked and lopsided the wave is once its envelope, as a minimum-phase filter, is undone.
 * @param {Spectrum[]} spectra @param {Float64Array[]} cepstra */
function describeExcitation(spectra, cepstra) {
  const waves = spectra.map(({ real, imaginary }, i) => {
    const folded = cepstra[i].map((value, k) => (k > 0 && k < QUEFRENCIES ? 2 * value : value));
    const filter = spectrumOf(folded.fill(0, FRAME - QUEFRENCIES + 1));
    const [re, im] = [new Float64Array(real.length), new Float64Array(real.length)];
    for (let line = 0; line < real.length; line++) {
      const size = Math.exp(-0.5 * filter.real[line]);
      const turn = -0.5 * filter.imaginary[line];
      const [c, s] = [size * Math.cos(turn), size * Math.sin(turn)];
      re[line] = real[line] * c - imaginary[line] * s;
      im[line] = real[line] * s + imaginary[line] * c;
    }
    return momentsOf(fromSpectrum(re, im));
  });
  const kurtosis = waves.map((wave) => Math.log(wave.fourth / wave.deviation ** 4 + 1e-3));
  const skewness = waves.map((wave) => wave.third / wave.deviation ** 3);
  const sizes = skewness.map(Math.abs);
  return [
    ...[0.1, 0.3, 0.5, 0.7, 0.9].map((share) => quantile(kurtosis, share)),
    Math.abs(median(skewness)),
    ...[0.5, 0.9].map((share) => quantile(sizes, share)),
    deviation(skewness),
  ];
}

/** Of a wave about its mean.
 * @param {Float64Array} wave */
function momentsOf(wave) {
  const middle = mean(wave);
  const apart = wave.map((value) => value - middle);
  const squares = apart.map((value) => value * value);
  return {
    deviation: Math.sqrt(power(apart)) + 1e-12,
    third: mean(squares.map((square, i) => square * apart[i])), // ** takes ten times as long
    fourth: power(squares),
  };
}

/** Asymmetry and peaks of the wave, and of its slope.
 * @param {Float32Array} samples @param {Float64Array[]} frames */
function describeWave(samples, frames) {
  const slopeOf = (/** @type {Float64Array} */ wave) =>
    wave.subarray(1).map((value, i) => value - wave[i]);
  const whole = new Float64Array(samples);
  const shape = [whole, slopeOf(whole)].flatMap((wave) => {
    const spread = deviation(wave) + 1e-12;
    const squares = wave.map((value) => value * value);
    const third = mean(squares.map((square, i) => square * wave[i]));
    const fourth = power(squares);
    return [Math.abs(third) / spread ** 3, Math.log(fourth / spread ** 4 + 1e-9)];
  });
  const peaks = frames.map((frame) => {
    const slope = slopeOf(frame);
    const highest = greatest(slope.map(Math.abs));
    return Math.log((highest + 1e-9) / (deviation(slope) + 1e-9));
  });
  return [...shape, mean(peaks), deviation(peaks)];
}
