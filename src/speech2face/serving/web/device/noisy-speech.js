// A second look for speech in music or noise, at recordings in which the detector found too little:
// as Python's noisy_speech.py, which says how and why.

import { fromSpectrum, spectrumOf } from "./fourier.js";
import { RATE, resample } from "./resampler.js";
import { CHUNK, judgeAlone } from "./speech-detector.js";
import { cutStretches } from "./speech-stretches.js";
import { hann, mean, median, round } from "./statistics.js";

/** @typedef {import("./networks.js").Network} Network */
/** A way to ask the detector again: without what is `steady` or with it, slowed down so many times
 * (what is most probable at any of them counts); speech begins at the probability `begin`.
 * @typedef {{steady: boolean, slowdowns: number[], begin: number}} Look */

const MOST_BLOCKS = 8; // of 32 s
const LEAST_VOICED = 16; // chunks that are as probable: less than 0.5 s is not believed
const WINDOW = 1024; // samples of a frame: 64 ms
const HOP = 256; // every 16 ms
const MEMORY = 375; // frames, 6 s: about as long a sound has to be there to be called steady
const STEADY = 2; // times the median magnitude at a frequency, which is taken away from it
const FLOOR = 0.05; // share of each magnitude that is left at least
const SHAPE = hann(WINDOW + 1).slice(0, -1).map(Math.sqrt);

/** @type {Look[]} */
export const LOOKS = [
  { steady: false, slowdowns: [1.1], begin: 0.7 },
  { steady: true, slowdowns: [1.6, 1.8], begin: 0.4 },
];

/** The blocks of a recording in which speech is most probable, though none was found. */
export class UnclearBlocks {
  /** @type {{probable: number, start: number, block: Float32Array}[]} */
  #kept = [];

  /** The next block, which begins at sample `start`, and its chunks' probability of speech.
   * @param {Float32Array} block @param {Float32Array} probabilities @param {number} start */
  add(block, probabilities, start) {
    this.#kept.push({ probable: mean(probabilities), start, block });
    if (this.#kept.length > MOST_BLOCKS) {
      const least = Math.min(...this.#kept.map(({ probable }) => probable));
      this.#kept.splice(this.#kept.findIndex(({ probable }) => probable === least), 1);
    }
  }

  /** Speech was found: nothing is kept any more. */
  clear() {
    this.#kept = [];
  }

  /** The speech that the look finds in each block, in time order.
   * @param {Look} look @param {Network} detector */
  async lookAgain(look, detector) {
    const found = [];
    for (const { start, block } of this.#kept) {
      const probabilities = await judge(look, block, detector);
      found.push(cutStretches(block, probabilities, start, look.begin, LEAST_VOICED));
    }
    return found;
  }
}

/** The probability of speech in each chunk of a block.
 * @param {Look} look @param {Float32Array} block @param {Network} detector */
async function judge(look, block, detector) {
  const sound = look.steady ? block : removeSteady(block);
  const probabilities = new Float32Array(Math.ceil(block.length / CHUNK));
  for (const slowdown of look.slowdowns) {
    const slowed = resample(sound, RATE, Math.round(RATE * slowdown));
    const judged = await judgeAlone(detector, slowed);
    probabilities.forEach((probability, chunk) => {
      const there = Math.min(Math.floor((chunk + 0.5) * slowdown), judged.length - 1);
      probabilities[chunk] = Math.max(probability, judged[there]);
    });
  }
  return probabilities;
}

/** Sound without what is there most of the time at each frequency.
 * @param {Float32Array} sound */
function removeSteady(sound) {
  const padded = new Float32Array(sound.length + 3 * WINDOW);
  padded.set(sound, WINDOW);
  const count = Math.floor((padded.length - WINDOW) / HOP) + 1;
  const spectra = Array.from({ length: count }, (_, frame) =>
    spectrumOf(SHAPE.map((weight, i) => weight * padded[frame * HOP + i])));
  const parts = Math.max(round(count / MEMORY), 1);
  const [length, longer] = [Math.floor(count / parts), count % parts];
  for (let part = 0, first = 0; part < parts; part++) {
    const end = first + length + (part < longer ? 1 : 0);
    subtractMedian(spectra.slice(first, end));
    first = end;
  }
  const joined = new Float64Array(padded.length);
  spectra.forEach(({ real, imaginary }, frame) => {
    fromSpectrum(real, imaginary).forEach((value, i) => {
      joined[frame * HOP + i] += value * SHAPE[i];
    });
  });
  return Float32Array.from(joined.subarray(WINDOW, WINDOW + sound.length), (value) =>
    value / (WINDOW / HOP / 2));
}

/** @param {import("./fourier.js").Spectrum[]} spectra changed */
function subtractMedian(spectra) {
  const lines = spectra[0].real.length;
  const magnitudes = new Float64Array(spectra.length);
  for (let line = 0; line < lines; line++) {
    spectra.forEach(({ real, imaginary }, i) => {
      magnitudes[i] = Math.hypot(real[line], imaginary[line]);
    });
    const steady = STEADY * median(magnitudes);
    spectra.forEach(({ real, imaginary }, i) => {
      const left = Math.max(magnitudes[i] - steady, FLOOR * magnitudes[i]);
      const share = left / Math.max(magnitudes[i], 1e-9);
      real[line] *= share;
      imaginary[line] *= share;
    });
  }
}
