// The probability of speech in each 32 ms of a recording: Silero VAD, as Python's
// voice_activity.py runs it.

import { concatenate, findRuns, greatest, power, quantile } from "./statistics.js";

/** @typedef {import("./networks.js").Network} Network */

export const CHUNK = 512; // samples judged at a time
const CONTEXT = 64; // samples of the chunk before that are heard as well
const STATE = CONTEXT + 2 * 128; // the context, then the output and the cell of the LSTM
const WARM_UP = 128; // chunks, 4 s: heard before each block, at whose beginning the LSTM is at rest

const LISTENING_LEVEL = 10 ** (-24 / 20); // RMS of the loud chunks: it misses quiet speech
const GREATEST_GAIN = 100;
const QUIET = 10 ** (-30 / 20); // of the loud chunks' level: below it speech is missed
const DIP = 31; // chunks, 1 s: what is quiet for less is a pause

export class SpeechDetector {
  #network;
  #before = new Float32Array(CONTEXT); // the last samples of the blocks before, amplified

  /** For one recording, given block by block.
   * @param {Network} network */
  constructor(network) {
    this.#network = network;
  }

  /** The probability of speech in each chunk of the next block, all but the last of whole chunks.
   * @param {Float32Array} block */
  async judge(block) {
    const levels = measureChunks(block);
    const sound = concatenate([this.#before, amplify(block, findGain(levels))]);
    const probabilities = (await judge(this.#network, sound)).slice(-levels.length);
    for (const [first, last] of findQuietParts(levels)) {
      const alone = await judgeAlone(this.#network, block.subarray(first * CHUNK, last * CHUNK));
      alone.forEach((value, i) => {
        probabilities[first + i] = Math.max(probabilities[first + i], value);
      });
    }
    this.#before = sound.slice(-(CONTEXT + WARM_UP * CHUNK));
    return probabilities;
  }
}

/** The RMS of each chunk; the last one is filled up with silence.
 * @param {Float32Array} block */
export function measureChunks(block) {
  return Float64Array.from({ length: Math.ceil(block.length / CHUNK) }, (_, chunk) => {
    const samples = block.subarray(chunk * CHUNK, (chunk + 1) * CHUNK);
    return Math.sqrt((power(samples) * samples.length) / CHUNK);
  });
}

/** Whole chunks of it, as much louder as said.
 * @param {Float32Array} block @param {number} gain */
function amplify(block, gain) {
  const chunks = new Float32Array(Math.ceil(block.length / CHUNK) * CHUNK);
  chunks.set(block);
  return chunks.map((value) => value * gain);
}

/** What brings the loud ones of chunks to the level listened at.
 * @param {Float64Array} levels */
function findGain(levels) {
  return Math.min(LISTENING_LEVEL / Math.max(quantile(levels, 0.98), 1e-9), GREATEST_GAIN);
}

/** Runs of chunks, 1 s and longer, so far below the loud ones that speech in them is missed.
 * @param {Float64Array} levels */
function findQuietParts(levels) {
  const limit = QUIET * quantile(levels, 0.98);
  const half = (DIP - 1) / 2;
  const around = (/** @type {ArrayLike<number>} */ values, /** @type {number} */ i) =>
    Array.prototype.slice.call(values, Math.max(i - half, 0), i + half + 1);
  const raised = levels.map((_, i) => greatest(around(levels, i), 0));
  const filled = raised.map((_, i) => Math.min(...around(raised, i))); // dips filled, edges kept
  return findRuns(Array.from(filled, (level) => level < limit));
}

/** The probability of speech in each chunk of a piece of sound as if it were all of a recording.
 * @param {Network} network @param {Float32Array} sound */
export function judgeAlone(network, sound) {
  const amplified = amplify(sound, findGain(measureChunks(sound)));
  return judge(network, concatenate([new Float32Array(CONTEXT), amplified]));
}

/** Whole chunks after the context of the first.
 * @param {Network} network @param {Float32Array} sound */
async function judge(network, sound) {
  const state = new Float32Array(STATE);
  state.set(sound.subarray(0, CONTEXT));
  const samples = sound.slice(CONTEXT);
  const { probabilities } = await network.run({
    samples: [samples, [samples.length]],
    state: [state, [STATE]],
  });
  return probabilities.data;
}
