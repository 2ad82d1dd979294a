// Which channel of a recording holds the voice: in recorded calls each person has one. As Python's
// speaker_channels.py.

import { countEach } from "./speaker-clustering.js";
import { argmax } from "./statistics.js";

const APART = 10; // times the energy of any other channel: the voice is in this one alone
const MOSTLY = 0.75; // of the speech, so that the channels hold different people
const LEAST_SLOTS = 32; // 1 s: that a channel must hold alone
export const NONE = -1;

/** The channel that holds the voice in each slot, `NONE` where not one alone; null where the
 * channels do not hold different people.
 * @param {Float64Array[] | null} levels of each channel: mean squares, from the first slot of speech
 * @param {boolean[]} speech in which slots somebody speaks */
export function findVoiceChannels(levels, speech) {
  if (!levels) return null;
  const channels = speech.map((spoken, slot) => {
    const energies = levels.map((channel) => channel[slot] ?? 0);
    const loudest = argmax(energies);
    const other = Math.max(...energies.filter((_, channel) => channel !== loudest));
    return spoken && energies[loudest] > APART * other ? loudest : NONE;
  });
  const alone = channels.filter((channel) => channel !== NONE);
  const spoken = speech.filter(Boolean).length;
  const held = countEach(alone).filter((slots) => slots >= LEAST_SLOTS);
  return alone.length < MOSTLY * spoken || held.length < 2 ? null : channels;
}

/** The one that holds most of the slots; `NONE` where none does.
 * @param {number[]} channels */
export function findOwnChannel(channels) {
  const counts = countEach(channels.filter((channel) => channel !== NONE));
  const most = argmax(counts);
  return counts.length && counts[most] >= MOSTLY * channels.length ? most : NONE;
}
