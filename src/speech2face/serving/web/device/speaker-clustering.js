// Speaker embeddings of windows → people: agglomerative clustering with average linkage, as Python's
// speaker_clustering.py does.

import { argmax } from "./statistics.js";

/** @typedef {Float32Array | Float64Array} Vector of length 1 */

const ALIKE = 0.33; // mean cosine down to which two groups of windows are one person
const SURELY_ALIKE = 0.4; // the same, where it leaves no doubt
const OTHER_CHANNEL = 0.2; // by which two windows in different channels count as less alike
export const LEAST_WINDOWS = 2; // of a person
const REASSIGNED = 2; // times that windows are given to the nearest person

/** The embedding of each person, of length 1. `channels` says in which channel each window was
 * heard, where that tells people apart.
 * @param {Vector[]} features @param {number[] | null} channels */
export function findPeople(features, channels) {
  const cosines = compare(features);
  if (channels) {
    cosines.forEach((row, a) => row.forEach((_, b) => {
      if (channels[a] !== channels[b]) row[b] -= OTHER_CHANNEL;
    }));
  }
  const labels = group(cosines, ALIKE);
  const counts = countEach(labels);
  const least = Math.min(LEAST_WINDOWS, Math.max(...counts));
  let centres = average(features, labels, counts.flatMap((n, who) => (n >= least ? [who] : [])));
  for (let time = 0; time < REASSIGNED && !channels; time++) {
    const nearest = features.map((feature) => argmax(centres.map((c) => dot(feature, c))));
    centres = average(features, nearest, [...new Set(nearest)].sort((a, b) => a - b));
  }
  return centres;
}

/** Whether embeddings are one person's without doubt.
 * @param {Vector[]} features */
export function soundLikeOne(features) {
  const labels = group(compare(features), SURELY_ALIKE);
  return labels.length > 1 && labels.every((label) => label === 0);
}

/** The number of the group of each, from 0. While the mean cosine between the members of two groups
 * is at least `alike`, the two for which it is greatest become one.
 * @param {Float64Array[]} cosines changed @param {number} alike */
function group(cosines, alike) {
  const labels = cosines.map((_, i) => i);
  const sizes = cosines.map(() => 1);
  cosines.forEach((row, i) => (row[i] = -Infinity));
  for (;;) {
    const bests = cosines.map((row) => row[argmax(row)]);
    const kept = argmax(bests);
    const gone = argmax(cosines[kept]);
    if (cosines.length < 2 || bests[kept] < alike) return renumber(labels);
    const [a, b] = [sizes[kept], sizes[gone]];
    const means = cosines[kept].map((value, i) => (a * value + b * cosines[gone][i]) / (a + b));
    cosines[kept].set(means);
    means.forEach((value, i) => (cosines[i][kept] = value));
    cosines[gone].fill(-Infinity);
    for (const row of cosines) row[gone] = -Infinity;
    cosines[kept][kept] = -Infinity;
    sizes[kept] += sizes[gone];
    labels.forEach((label, i) => {
      if (label === gone) labels[i] = kept;
    });
  }
}

/** @param {number[]} labels */
function renumber(labels) {
  const ordered = [...new Set(labels)].sort((a, b) => a - b);
  return labels.map((label) => ordered.indexOf(label));
}

/** @param {Vector[]} features */
const compare = (features) =>
  features.map((a) => Float64Array.from(features, (b) => dot(a, b)));

/** How many there are of each number, from 0.
 * @param {number[]} numbers */
export function countEach(numbers) {
  const counts = Array.from({ length: Math.max(-1, ...numbers) + 1 }, () => 0);
  for (const number of numbers) counts[number] += 1;
  return counts;
}

/** @param {Vector[]} features @param {number[]} labels @param {number[]} people */
function average(features, labels, people) {
  return people.map((person) => {
    const centre = new Float64Array(features[0].length);
    features.forEach((feature, i) => {
      if (labels[i] === person) feature.forEach((value, d) => (centre[d] += value));
    });
    return normalise(centre);
  });
}

/** To length 1.
 * @template {Vector} V @param {V} vector @returns {V} */
export function normalise(vector) {
  const length = Math.max(Math.sqrt(dot(vector, vector)), 1e-9);
  return /** @type {V} */ (vector.map((value) => value / length));
}

/** @param {Vector} a @param {Vector} b */
export function dot(a, b) {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i] * b[i];
  return total;
}
