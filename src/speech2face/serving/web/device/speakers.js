// How many people speak in a recording, and when: as Python's speakers.py, which says how and why.

import { NONE, findOwnChannel, findVoiceChannels } from "./speaker-channels.js";
import { LEAST_WINDOWS, dot, findPeople, normalise, soundLikeOne } from "./speaker-clustering.js";
import { CHUNK } from "./speech-detector.js";
import { RATE } from "./resampler.js";
import { argmax, findRuns, round, spread, sum } from "./statistics.js";

/** @typedef {import("./networks.js").Network} Network */
/** @typedef {import("./speech-selection.js").Stretch} Stretch */
/** @typedef {[start: number, end: number]} Span */
/** @typedef {{number: number, speechSeconds: number, segments: Span[]}} Speaker */
/** @typedef {{speakers: Speaker[], stretches: Stretch[][]}} Voices who speaks most first */

const WINDOW = 47; // chunks: 1.5 s
const HOP = 23; // chunks that a window lies after the one before
const SHORTEST = RATE / 2; // samples that the network takes
const MOST_WINDOWS = 96;
const SPREAD = (5 ** 0.5 - 1) / 2; // its multiples, without their whole part, fill 0 to 1 evenly
const FULL = RATE; // samples: windows that are shorter form no groups
const LEAST_SECONDS = 1; // of a person's speech
const SURE = 0.1; // by how much a chunk must be nearer to one person to be drawn from
const SHORT = 6; // chunks: less than 0.19 s is not drawn from
const BATCH = 4; // windows at a time: more is no faster, and takes memory

/** How many speak, and each for how long.
 * @param {Speaker[]} speakers */
export function describeSpeakers(speakers) {
  if (speakers.length < 2) return "one person speaks";
  const parts = speakers.map((who) => `${who.number} for ${who.speechSeconds.toFixed(1)} s`);
  const last = parts.pop();
  return `${speakers.length} people speak, ${parts.join(", ")} and ${last}`;
}

/** Spans in samples → in seconds; those that a block's border parted are one.
 * @param {Span[]} spans */
export function joinSpans(spans) {
  /** @type {Span[]} */
  const joined = [];
  for (const [first, last] of spans) {
    const [start, end] = [first / RATE, last / RATE];
    const before = joined[joined.length - 1];
    if (before && before[1] === start) before[1] = end;
    else joined.push([start, end]);
  }
  return joined;
}

/** Finds who speaks in a recording given stretch by stretch, in time order. */
export class SpeakerSearch {
  /** @type {Span[]} */
  #spans = []; // of all speech, in samples
  /** @type {{number: number, window: Stretch}[]} */
  #windows = []; // the least numbers are kept
  #seen = 0;
  #limit = 1; // windows of greater numbers are not kept

  /** @param {Stretch[]} stretches the next ones */
  add(stretches) {
    for (const stretch of stretches) {
      this.#spans.push([stretch.start, stretch.end]);
      for (const window of cutWindows(stretch)) {
        this.#seen += 1;
        const number = (this.#seen * SPREAD) % 1;
        if (number < this.#limit) this.#windows.push({ number, window });
      }
    }
    if (this.#windows.length > 2 * MOST_WINDOWS) this.#drop();
  }

  #drop() {
    this.#windows.sort((a, b) => a.number - b.number);
    if (this.#windows.length > MOST_WINDOWS) {
      this.#limit = this.#windows[MOST_WINDOWS].number;
      this.#windows.length = MOST_WINDOWS;
    }
  }

  /** @param {Network} network of speaker embeddings @param {Float64Array[] | null} levels of
   * each channel, every 32 ms of the recording @returns {Promise<Voices>} */
  async find(network, levels) {
    this.#drop();
    const windows = this.#windows.map(({ window }) => window).sort((a, b) => a.start - b.start);
    if (windows.length < 2 * LEAST_WINDOWS) return allOfOne(this.#spans);
    const even = await embed(network, windows.filter((_, i) => i % 2 === 0));
    if (soundLikeOne(even)) return allOfOne(this.#spans);
    const odd = await embed(network, windows.filter((_, i) => i % 2));
    const features = windows.map((_, i) => (i % 2 ? odd : even)[i >> 1]);
    const timeline = new Timeline(this.#spans, windows);
    timeline.judge(features, levels);
    while (timeline.people.length > 1 && Math.min(...timeline.seconds) < LEAST_SECONDS) {
      timeline.leaveOut(argmax(timeline.seconds.map((seconds) => -seconds)));
    }
    if (timeline.people.length < 2) return allOfOne(this.#spans);
    const order = timeline.seconds.map((_, place) => place)
      .sort((a, b) => timeline.seconds[b] - timeline.seconds[a]);
    return {
      speakers: order.map((place, i) => timeline.describe(place, i + 1)),
      stretches: order.map((place) => timeline.collect(place)),
    };
  }
}

/** @param {Span[]} spans @returns {Voices} */
function allOfOne(spans) {
  if (!spans.length) return { speakers: [], stretches: [] };
  const speechSeconds = sum(spans.map(([start, end]) => end - start)) / RATE;
  return { speakers: [{ number: 1, speechSeconds, segments: joinSpans(spans) }], stretches: [[]] };
}

/** Windows over a stretch, evenly, the last of which ends where it ends; none of a short one.
 * @param {Stretch} stretch */
function cutWindows(stretch) {
  if (stretch.samples.length < SHORTEST) return [];
  const room = Math.max(stretch.probabilities.length - WINDOW, 0);
  const count = 1 + Math.max(round(room / HOP), room ? 1 : 0);
  return Array.from(spread(0, room, count), (first) =>
    stretch.part(round(first), round(first) + WINDOW));
}

/** The embedding of each, of length 1.
 * @param {Network} network @param {Stretch[]} windows */
async function embed(network, windows) {
  /** @type {Float32Array[]} */
  const features = [];
  for (const length of new Set(windows.map(({ samples }) => samples.length))) {
    const places = windows.flatMap((window, i) => (window.samples.length === length ? [i] : []));
    for (let first = 0; first < places.length; first += BATCH) {
      const some = places.slice(first, first + BATCH);
      const sound = new Float32Array(some.length * length);
      some.forEach((place, i) => sound.set(windows[place].samples, i * length));
      const outputs = await network.run({ waveform: [sound, [some.length, length]] });
      const { data, shape: [, width] } = Object.values(outputs)[0];
      some.forEach((place, i) => {
        features[place] = normalise(data.slice(i * width, (i + 1) * width));
      });
    }
  }
  return features;
}

/** Who speaks in each chunk of a recording; its first chunk is that of the first speech. */
class Timeline {
  #base;
  #end;
  #windows;
  /** @type {boolean[]} */
  #speech;
  /** @type {boolean[]} */
  #alone = [];
  /** @type {Float64Array[]} */
  #votes = []; // of each chunk, for each person
  /** @type {number[]} */
  #labels = [];
  /** @type {number[]} */
  people = [];
  /** @type {number[]} */
  seconds = []; // of each of `people`

  /** @param {Span[]} spans @param {Stretch[]} windows */
  constructor(spans, windows) {
    this.#base = spans[0][0];
    this.#end = spans[spans.length - 1][1];
    this.#windows = windows;
    this.#speech = Array.from({ length: this.#chunk(this.#end + CHUNK - 1) }, () => false);
    for (const [start, end] of spans) {
      this.#speech.fill(true, this.#chunk(start), this.#chunk(end + CHUNK - 1));
    }
  }

  /** Find people by the embeddings of the windows, and give each chunk to one of them.
   * @param {Float32Array[]} features @param {Float64Array[] | null} levels */
  judge(features, levels) {
    const before = Math.floor(this.#base / CHUNK); // chunks of the recording
    const own = levels && levels.map((channel) => channel.slice(before));
    let channels = findVoiceChannels(own, this.#speech);
    let full = this.#windows.map(({ samples }) => samples.length >= FULL);
    /** @type {number[] | null} */
    let ofWindows = null;
    if (channels) {
      const all = channels;
      ofWindows = this.#places().map(([first, last]) => findOwnChannel(all.slice(first, last)));
      full = full.map((is, i) => is && ofWindows?.[i] !== NONE);
    }
    if (!full.some(Boolean)) [full, channels, ofWindows] = [full.map(() => true), null, null];
    const chosen = features.filter((_, i) => full[i]);
    const chosenChannels = ofWindows && ofWindows.filter((_, i) => full[i]);
    const centres = findPeople(chosen, chosenChannels);
    const scores = features.map((feature) => centres.map((centre) => dot(feature, centre)));
    this.people = centres.map((_, person) => person);
    this.#votes = this.#spread(scores);
    this.#alone = this.#speech;
    if (channels && chosenChannels) {
      const held = channels;
      this.#alone = held.map((channel) => channel !== NONE);
      const nearest = scores.filter((_, i) => full[i]).map(argmax);
      for (const person of this.people) {
        const channel = findOwnChannel(chosenChannels.filter((_, i) => nearest[i] === person));
        if (channel === NONE) continue;
        this.#votes.forEach((vote, chunk) => {
          if (held[chunk] !== NONE && held[chunk] !== channel) vote[person] -= 1;
        });
      }
    }
    this.#decide();
  }

  /** First and last + 1 chunk of each window. */
  #places() {
    return this.#windows.map(({ start, probabilities }) => {
      const first = this.#chunk(start);
      return /** @type {Span} */ ([first, first + probabilities.length]);
    });
  }

  /** @param {number} sample */
  #chunk(sample) {
    return Math.floor((sample - this.#base) / CHUNK);
  }

  /** How near each window is to each person → each chunk: the mean over the windows there, weighed
   * by how near their middles are; where there is none, that of the nearest chunk.
   * @param {number[][]} scores */
  #spread(scores) {
    const people = scores[0].length;
    const votes = this.#speech.map(() => new Float64Array(people));
    const weights = new Float64Array(votes.length);
    this.#places().forEach(([first, last], i) => {
      const middle = (last - first + 1) / 2;
      for (let chunk = first; chunk < last; chunk++) {
        const weight = 1 - Math.abs(chunk - first + 1 - middle) / middle;
        votes[chunk].forEach((_, person) => (votes[chunk][person] += weight * scores[i][person]));
        weights[chunk] += weight;
      }
    });
    const known = votes.flatMap((vote, chunk) => {
      vote.forEach((value, person) => (vote[person] = value / (weights[chunk] || 1)));
      return weights[chunk] ? [chunk] : [];
    });
    let at = 0;
    return votes.map((_, chunk) => {
      while (at + 1 < known.length && chunk > (known[at] + known[at + 1]) / 2) at++;
      return votes[known[at]].slice();
    });
  }

  #decide() {
    this.#labels = this.#votes.map((vote, chunk) =>
      this.#speech[chunk] ? this.people[argmax(this.people.map((who) => vote[who]))] : -1);
    this.seconds = this.people.map((person) =>
      (this.#labels.filter((label) => label === person).length * CHUNK) / RATE);
  }

  /** One of `people` is none: what was theirs is given to the others.
   * @param {number} place */
  leaveOut(place) {
    this.people.splice(place, 1);
    this.#decide();
  }

  /** @param {number} place @param {number} number @returns {Speaker} */
  describe(place, number) {
    const runs = findRuns(this.#labels.map((label) => label === this.people[place]));
    const spans = runs.map(([first, last]) => /** @type {Span} */ ([
      this.#base + first * CHUNK,
      Math.min(this.#base + last * CHUNK, this.#end),
    ]));
    return { number, speechSeconds: this.seconds[place], segments: joinSpans(spans) };
  }

  /** What was listened to of one of `people`, without what may be somebody else's too.
   * @param {number} place */
  collect(place) {
    const person = this.people[place];
    const others = this.people.filter((who) => who !== person);
    const said = this.#labels.map((label) => label === person);
    const sure = said.map((is, chunk) => {
      const vote = this.#votes[chunk];
      const nearest = Math.max(...others.map((who) => vote[who]));
      return is && this.#alone[chunk] && vote[person] - nearest >= SURE;
    });
    const parts = this.#take(sure, SHORT);
    const enough = sum(parts.map(({ seconds }) => seconds)) >= LEAST_SECONDS;
    return enough ? parts : this.#take(said, 1);
  }

  /** The sound of the chosen chunks that is in a window, in runs of `least` and more.
   * @param {boolean[]} chosen @param {number} least */
  #take(chosen, least) {
    /** @type {Stretch[]} */
    const parts = [];
    let after = 0; // the chunk up to which sound was taken
    this.#places().forEach(([first, last], i) => {
      const wanted = chosen.slice(first, last);
      wanted.fill(false, 0, Math.max(after - first, 0));
      for (const [a, b] of findRuns(wanted)) {
        const part = this.#windows[i].part(a, b);
        const before = parts[parts.length - 1];
        if (before && before.end === part.start) parts[parts.length - 1] = before.extendedBy(part);
        else parts.push(part);
      }
      after = Math.max(after, last);
    });
    return parts.filter(({ probabilities }) => probabilities.length >= least);
  }
}
