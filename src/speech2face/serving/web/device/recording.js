// A sound becomes what is listened to: mono at 16 kHz, from its beginning on.

import { mixDown } from "./downmix.js";
import { RATE, resample } from "./resampler.js";
import { mean } from "./statistics.js";

export const MOST_SECONDS = 600; // of a recording: what comes later is not listened to
export const BLOCK = 32 * RATE; // samples judged at a time
const OFFSET_TOLD = 0.05;

/**
 * `samples` at 16 kHz without a constant offset, `levels` the mean square of each channel every
 * 32 ms where there are several, `warnings` what is wrong with the sound.
 * @typedef {{samples: Float32Array, levels: Float64Array[] | null, warnings: string[]}} Recording
 */

/** What the reader of the page is told: the sound cannot be listened to. */
export class UnreadableSound extends Error {}

/** Throws an UnreadableSound where there is none.
 * @param {import("./wav-reader.js").Sound} sound used up @returns {Recording} */
export function prepareRecording(sound, seconds = MOST_SECONDS) {
  const most = seconds * sound.rate;
  const cut = sound.channels.length > 0 && sound.channels[0].length > most;
  const channels = sound.channels.map((channel) => channel.subarray(0, most));
  if (!channels.length || !channels[0].length) {
    throw new UnreadableSound("the recording holds no sound that can be decoded; give a " +
      "complete recording");
  }
  const { mono, levels, warnings } = mixDown({ ...sound, channels });
  const samples = resample(mono, sound.rate);
  const offset = mean(samples.subarray(0, BLOCK)); // it belongs to the microphone
  for (let i = 0; i < samples.length; i++) samples[i] -= offset;
  if (Math.abs(offset) > OFFSET_TOLD) {
    const words = `${offset < 0 ? "-" : "+"}${Math.abs(offset).toFixed(2)}`;
    warnings.push(`a constant offset of ${words} was removed from the sound`);
  }
  if (cut) warnings.push(`only the first ${seconds} s were listened to`);
  return { samples, levels, warnings };
}
