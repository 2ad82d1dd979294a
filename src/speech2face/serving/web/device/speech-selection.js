// Selects the stretches of speech that are taken from a recording, as Python's speech_selection.py
// does.

import { powerSpectrum } from "./fourier.js";
import { RATE } from "./resampler.js";
import { CHUNK } from "./speech-detector.js";
import { concatenate, hann, mean, median, power, round, spread, sum } from "./statistics.js";

const KEPT_SECONDS = 120; // of candidates, whatever the length of the recording
const ENOUGH_SECONDS = 10; // beyond which nothing much less clear than the best is taken
const EQUAL = 0.15; // stretches less clear than the best by no more are about equally clear
const PIECE = 94; // chunks, 3 s: what a long stretch is cut into where several people may speak
const FAR = 6; // dB below the loudest
const FAR_COST = 0.02; // of each dB beyond: someone far away
const WINDOW = hann(CHUNK);
// Of a spectrum, in lines of 31.25 Hz: 60 Hz to 7.7 kHz, wider from 400 Hz on.
const BANDS = [2, 4, 6, 8, 10, 12, 14, 17, 20, 24, 28, 33, 39, 46, 54, 64, 76, 90, 107, 127, 150,
  177, 209, 247];

/** Speech without a long pause. */
export class Stretch {
  /** @type {number | undefined} */
  #level;
  /** @type {Float64Array | undefined} */
  #voice;

  /** @param {number} start samples from the beginning of the recording
   * @param {Float32Array} samples @param {Float32Array} probabilities of each chunk of them */
  constructor(start, samples, probabilities) {
    this.start = start;
    this.samples = samples;
    this.probabilities = probabilities;
    this.clearness = mean(probabilities);
  }

  get end() {
    return this.start + this.samples.length;
  }

  get seconds() {
    return this.samples.length / RATE;
  }

  /** dBFS */
  get level() {
    return (this.#level ??= 10 * Math.log10(power(this.samples) + 1e-12));
  }

  /** Parts of about `PIECE` chunks: where nobody pauses, one voice may follow another.
   * @returns {Stretch[]} */
  get pieces() {
    const chunks = this.probabilities.length;
    const count = Math.max(round(chunks / PIECE), 1);
    if (count === 1) return [this];
    const edges = Array.from(spread(0, chunks, count + 1), round);
    return edges.slice(1).map((edge, i) => this.part(edges[i], edge));
  }

  /** From one chunk of it up to another.
   * @param {number} first @param {number} last */
  part(first, last) {
    return new Stretch(
      this.start + first * CHUNK,
      this.samples.subarray(first * CHUNK, last * CHUNK),
      this.probabilities.subarray(first, last),
    );
  }

  /** It and what follows it at once.
   * @param {Stretch} after */
  extendedBy(after) {
    return new Stretch(
      this.start,
      concatenate([this.samples, after.samples]),
      concatenate([this.probabilities, after.probabilities]),
    );
  }

  /** How loud each of `BANDS` is in the louder half, against their mean, dB. */
  get voice() {
    return (this.#voice ??= describeVoice(this.samples));
  }
}

/** Of every other chunk.
 * @param {Float32Array} samples */
function describeVoice(samples) {
  const powers = Array.from({ length: Math.ceil(samples.length / (2 * CHUNK)) }, (_, pair) =>
    powerSpectrum(WINDOW.map((weight, i) => weight * (samples[2 * pair * CHUNK + i] ?? 0))));
  const totals = powers.map(sum);
  const middle = median(totals);
  const loud = powers.filter((_, i) => totals[i] >= middle);
  const levels = Float64Array.from(BANDS.slice(1), (end, band) =>
    mean(loud.map((lines) => 10 * Math.log10(sum(lines.subarray(BANDS[band], end)) + 1e-12))));
  const average = mean(levels);
  return levels.map((level) => level - average);
}

/** The best speech of a recording given block by block: `KEPT_SECONDS` of it are kept. */
export class Candidates {
  /** @type {Stretch[]} */
  #kept = [];
  #blocks = 0;
  /** @type {Float64Array[]} */
  #voices = []; // of all speech

  /** The speech of the next block.
   * @param {Stretch[]} stretches */
  add(stretches) {
    this.#blocks += 1;
    this.#voices.push(...stretches.flatMap(({ pieces }) => pieces.map(({ voice }) => voice)));
    this.#kept.push(...stretches);
    if (this.#blocks > 1) this.#kept = this.#kept.flatMap(({ pieces }) => pieces);
    this.#kept = this.choose(KEPT_SECONDS);
  }

  /** The best that together last at most `seconds`, in time order; the last one chosen is cut to
   * its clearest part. What is not about as clear as the best is chosen only up to `ENOUGH_SECONDS`.
   * @param {number} seconds */
  choose(seconds) {
    const chosen = [];
    let taken = 0;
    for (const { ranked, clear } of this.#rank()) {
      const most = clear ? seconds : Math.min(seconds, ENOUGH_SECONDS);
      const room = Math.floor(most * RATE) - taken;
      if (chosen.length && room < RATE / 2) break;
      const stretch = ranked.samples.length > room ? clearestPart(ranked, room) : ranked;
      chosen.push(stretch);
      taken += stretch.samples.length;
    }
    return chosen.sort((a, b) => a.start - b.start);
  }

  /** Best first, and whether each is about as clear as the clearest. */
  #rank() {
    if (!this.#kept.length) return [];
    const loudest = loudLevel(this.#kept, this.#blocks === 1 ? 0 : 0.1);
    const quality = this.#kept.map(({ clearness, level }) =>
      clearness - FAR_COST * Math.max(0, loudest - level - FAR));
    const least = Math.max(...quality) - EQUAL;
    const usual = this.#voices[0].map((_, band) => median(this.#voices.map((v) => v[band])));
    const keys = this.#kept.map((stretch, i) => {
      if (this.#blocks === 1 || quality[i] < least) return { last: true, cost: -quality[i] };
      const unlike = stretch.voice.map((value, band) => (value - usual[band]) ** 2);
      return { last: false, cost: sum(unlike) };
    });
    const order = this.#kept.map((_, i) => i).sort((a, b) =>
      Number(keys[a].last) - Number(keys[b].last) || keys[a].cost - keys[b].cost);
    return order.map((i) => ({ ranked: this.#kept[i], clear: quality[i] >= least }));
  }
}

/** The level that this share of the speech reaches, dBFS: a single shout is no measure.
 * @param {Stretch[]} stretches @param {number} share */
function loudLevel(stretches, share) {
  const ordered = [...stretches].sort((a, b) => b.level - a.level);
  const whole = sum(ordered.map(({ seconds }) => seconds));
  let heard = 0;
  for (const { seconds, level } of ordered) {
    heard += seconds;
    if (heard >= share * whole) return level;
  }
  return ordered[ordered.length - 1].level;
}

/** The `length` samples of a longer stretch in which speech is most probable.
 * @param {Stretch} stretch @param {number} length */
function clearestPart(stretch, length) {
  const chunks = Math.ceil(length / CHUNK);
  const { probabilities, samples } = stretch;
  let [first, best] = [0, -Infinity];
  for (let place = 0; place + chunks <= probabilities.length; place++) {
    const total = sum(probabilities.subarray(place, place + chunks));
    if (total > best) [first, best] = [place, total];
  }
  const start = Math.min(first * CHUNK, samples.length - length);
  return new Stretch(
    stretch.start + start,
    samples.subarray(start, start + length),
    probabilities.subarray(first, first + chunks),
  );
}
