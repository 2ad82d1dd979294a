// Sound becomes pieces that end where it is quiet, and pieces become sound again: as Python's
// privacy/chunking.py.

import { RATE } from "./resampler.js";

const LONGEST = 20 * RATE; // samples of a piece
const SEARCHED = 5 * RATE; // samples at a piece's end in which a quiet moment is looked for
const MOMENT = RATE / 50; // samples, 20 ms: how long it lasts, and the overlap

/** Where overlapping pieces of at most 20 s begin and end.
 * @param {Float32Array} samples */
export function* cutPieces(samples) {
  let start = 0;
  while (samples.length - start > LONGEST) {
    const end = start + LONGEST;
    const quiet = end - SEARCHED + findQuietEnd(samples.subarray(end - SEARCHED, end));
    yield samples.subarray(start, quiet);
    start = quiet - MOMENT;
  }
  yield samples.subarray(start);
}

/** Puts pieces, changed but as long as they were, together again. */
export class JoinedPieces {
  #end = 0;

  /** @param {number} length of the whole */
  constructor(length) {
    this.samples = new Float32Array(length);
  }

  /** @param {Float32Array} piece the next one; it is cross-faded with the one before */
  add(piece) {
    const start = Math.max(this.#end - MOMENT, 0);
    const common = this.#end - start;
    for (let i = 0; i < common; i++) {
      const share = i / (MOMENT - 1);
      this.samples[start + i] = share * piece[i] + (1 - share) * this.samples[start + i];
    }
    this.samples.set(piece.subarray(common), this.#end);
    this.#end = start + piece.length;
  }
}

/** The end of the quietest moment in a sound.
 * @param {Float32Array} samples whole moments */
function findQuietEnd(samples) {
  let [least, end] = [Infinity, samples.length];
  for (let start = 0; start < samples.length; start += MOMENT) {
    let energy = 0;
    for (let i = start; i < start + MOMENT; i++) energy += samples[i] * samples[i];
    if (energy < least) [least, end] = [energy, start + MOMENT];
  }
  return end;
}
