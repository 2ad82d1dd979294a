// A recording in another voice, piece by piece: as Python's privacy/anonymise_recording.py.

import { disguiseByVocoder } from "./channel-vocoder.js";
import { JoinedPieces, cutPieces } from "./chunking.js";
import { power } from "./statistics.js";
import { disguiseByWorld } from "./world-vocoder.js";

/** @typedef {import("./world-vocoder.js").World} World */
/** @typedef {(samples: Float32Array, seed: number[], world: World) => Float32Array} Method */
/**
 * `loudness` is the RMS before and after, `silenced` tells where pieces begin, in samples, of which
 * nothing is left.
 * @typedef {{samples: Float32Array, loudness: [before: number, after: number],
 *   silenced: number[]}} DisguisedSound
 */

const AUDIBLE = 10 ** (-45 / 20); // RMS of a piece that is not silent
const SILENCE = 10 ** (-70 / 20);
const SECRET_WORDS = 4; // of 32 bits

/** By the names of Python's privacy/anonymisers.py, with the bounds it has.
 * @type {Record<string, Method>} */
export const METHODS = {
  whisper: (samples, seed, world) =>
    disguiseByWorld(world, samples, seed, { semitones: null, formants: [1.08, 1.2] }),
  "pitch-formant": (samples, seed, world) =>
    disguiseByWorld(world, samples, seed, { semitones: [2, 5], formants: [1.08, 1.2] }),
  vocoder: disguiseByVocoder,
};

/** Words that choose a voice. Whoever knew them could undo more, so nobody is told. */
export const drawSecret = () => [...crypto.getRandomValues(new Uint32Array(SECRET_WORDS))];

/** Sound at 16 kHz → as much in one other voice. `tell` is called with the share that is done.
 * @param {Float32Array} samples @param {string} method @param {number[]} seed @param {World} world
 * @param {(share: number) => void | Promise<void>} tell @returns {Promise<DisguisedSound>} */
export async function disguiseSound(samples, method, seed, world, tell = () => {}) {
  const joined = new JoinedPieces(samples.length);
  const silenced = [];
  for (const piece of cutPieces(samples)) {
    const changed = METHODS[method](piece, seed, world);
    if (loudnessOf(piece) > AUDIBLE && loudnessOf(changed) < SILENCE) {
      silenced.push((piece.byteOffset - samples.byteOffset) / piece.BYTES_PER_ELEMENT);
    }
    joined.add(changed);
    await tell((piece.byteOffset + piece.byteLength - samples.byteOffset) / samples.byteLength);
  }
  const loudness = /** @type {[number, number]} */ ([samples, joined.samples].map(loudnessOf));
  return { samples: joined.samples, loudness, silenced };
}

/** @param {Float32Array} samples */
const loudnessOf = (samples) => Math.sqrt(power(samples));
