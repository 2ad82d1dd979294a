// Cuts the stretches of speech out of sound by the probability of speech in each chunk of it, as
// Python's speech_stretches.py does.

import { CHUNK } from "./speech-detector.js";
import { Stretch } from "./speech-selection.js";

const START = 0.4; // probability at which speech begins
const STAY = 0.25; // above which it goes on
const LONGEST_PAUSE = 9; // chunks: pauses up to 0.29 s are kept
const EDGE = 3; // chunks kept before and after speech: soft onsets and endings
const LEAST_VOICED = 6; // chunks: less than 0.19 s is a knock or a note, not speech

/** The stretches of speech in a block that begins at sample `start` of the recording: in each there
 * are `leastVoiced` chunks whose probability is `begin` or more.
 * @param {Float32Array} block @param {Float32Array} probabilities @param {number} start */
export function cutStretches(
  block, probabilities, start, begin = START, leastVoiced = LEAST_VOICED,
) {
  /** @type {[number, number][]} */
  const runs = []; // first and last chunk
  probabilities.forEach((probability, chunk) => {
    if (probability < STAY) return;
    const run = runs[runs.length - 1];
    if (run && chunk - run[1] <= 1 + LONGEST_PAUSE) run[1] = chunk;
    else runs.push([chunk, chunk]);
  });
  return runs.flatMap(([first, last]) => {
    const voiced = probabilities.subarray(first, last + 1).filter((value) => value >= begin);
    if (voiced.length < leastVoiced) return [];
    const [from, to] = [Math.max(first - EDGE, 0), last + 1 + EDGE];
    const samples = block.slice(from * CHUNK, to * CHUNK);
    return [new Stretch(start + from * CHUNK, samples, probabilities.slice(from, to))];
  });
}
