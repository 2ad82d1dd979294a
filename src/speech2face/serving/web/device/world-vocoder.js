// Pitch and formants are set anew by the vocoder WORLD, the same program that Python runs, compiled to
// WebAssembly (scripts/build_world.py): as Python's privacy/world_vocoder.py.

import { RandomNumbers } from "./random-numbers.js";
import { RATE } from "./resampler.js";
import { clip, power } from "./statistics.js";

/** What scripts/world/parameters.cpp offers; places are in bytes of `memory`.
 * @typedef {{memory: WebAssembly.Memory, _initialize: () => void,
 *   malloc: (bytes: number) => number, free: (place: number) => void,
 *   count_frames: (samples: number) => number, count_bins: () => number,
 *   analyse: (sound: number, samples: number, pitch: number, envelopes: number,
 *     aperiodicities: number) => void,
 *   synthesise: (pitch: number, frames: number, envelopes: number, aperiodicities: number,
 *     sound: number) => void}} World */
/** Bounds of the factors that a speaker draws; without `semitones` there is no voice, a whisper.
 * @typedef {{semitones: [number, number] | null, formants: [number, number]}} Shifts */

const LEAST = RATE / 4; // samples WORLD is given at least
const EPSILON = 1e-8; // noise beneath all sound: WORLD cannot analyse pure silence
const FRAME = RATE / 200; // samples, 5 ms
const LOUDER = 4; // times at most, to be as loud as before

/** @param {Uint8Array<ArrayBuffer>} program @returns {Promise<World>} */
export async function openWorld(program) {
  const { instance } = await WebAssembly.instantiate(program);
  const world = /** @type {World} */ (/** @type {unknown} */ (instance.exports));
  world._initialize();
  return world;
}

/** Sound at 16 kHz → as much in another voice, which `seed`, words of 32 bits, chooses.
 * @param {World} world @param {Float32Array} samples @param {number[]} seed @param {Shifts} shifts */
export function disguiseByWorld(world, samples, seed, { semitones, formants }) {
  const random = new RandomNumbers(seed);
  const up = [random.sign(), random.sign()];
  const [fewest, most] = semitones ?? [0, 0];
  const steps = up[0] * random.between(fewest, most);
  const factor = random.between(...formants) ** up[1];
  return shift(world, samples, semitones ? 2 ** (steps / 12) : 0, factor);
}

/** Pitch and formants are multiplied; pitch 0 is a whisper.
 * @param {World} world @param {Float32Array} samples @param {number} pitch
 * @param {number} formants */
function shift(world, samples, pitch, formants) {
  const padded = pad(samples);
  const frames = world.count_frames(padded.length);
  const bins = world.count_bins();
  const counts = [padded.length, frames, frames * bins, frames * bins, frames * FRAME];
  const places = counts.map((count) => world.malloc(8 * count));
  try {
    if (places.includes(0)) throw new RangeError("there is not enough memory to change the voice");
    const [given, pitches, envelopes, aperiodicities, made] = places;
    // A view ends when the memory grows, so each is made anew.
    const view = (/** @type {number} */ i) =>
      new Float64Array(world.memory.buffer, places[i], counts[i]);
    view(0).set(padded);
    world.analyse(given, padded.length, pitches, envelopes, aperiodicities);
    view(1).forEach((value, i, all) => (all[i] = value * pitch));
    stretch(view(2), bins, formants, Math.log, Math.exp);
    if (pitch === 0) view(3).fill(1);
    else stretch(view(3), bins, formants);
    view(4).fill(0);
    world.synthesise(pitches, frames, envelopes, aperiodicities, made);
    return level(view(4), samples);
  } finally {
    places.forEach(world.free);
  }
}

/** As long and as loud as the sound was, within ±1.
 * @param {Float64Array} made @param {Float32Array} samples */
function level(made, samples) {
  const energy = power(made.subarray(0, samples.length)) * Math.min(made.length, samples.length);
  const before = power(samples) * samples.length;
  const gain = Math.min(Math.sqrt(before / Math.max(energy, 1e-30)), LOUDER);
  return Float32Array.from(samples, (_, i) => clip(gain * (made[i] ?? 0), -1, 1));
}

/** @param {Float32Array} samples */
function pad(samples) {
  const padded = new RandomNumbers(0).normal(Math.max(samples.length, LEAST))
    .map((value) => EPSILON * value);
  samples.forEach((value, i) => (padded[i] += value));
  return padded;
}

/** Rows of spectra: what was at f is now at f · factor; above what there was, its last value.
 * @param {Float64Array} rows changed @param {number} bins of a row @param {number} factor
 * @param {(value: number) => number} there before it is moved
 * @param {(value: number) => number} back */
function stretch(rows, bins, factor, there = (value) => value, back = there) {
  const source = new Float64Array(bins);
  for (let start = 0; start < rows.length; start += bins) {
    for (let bin = 0; bin < bins; bin++) source[bin] = there(rows[start + bin]);
    for (let bin = 0; bin < bins; bin++) {
      const place = Math.min(bin / factor, bins - 1);
      const below = Math.min(Math.floor(place), bins - 2);
      const share = place - below;
      rows[start + bin] = back((1 - share) * source[below] + share * source[below + 1]);
    }
  }
}
