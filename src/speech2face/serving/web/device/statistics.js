// What NumPy does with rows of numbers.

/** @typedef {ArrayLike<number>} Numbers */

/** @param {Numbers} numbers */
export function sum(numbers) {
  let total = 0;
  for (let i = 0; i < numbers.length; i++) total += numbers[i];
  return total;
}

/** @param {Numbers} numbers */
export const mean = (numbers) => sum(numbers) / numbers.length;

/** The mean square.
 * @param {Numbers} numbers */
export function power(numbers) {
  let total = 0;
  for (let i = 0; i < numbers.length; i++) total += numbers[i] * numbers[i];
  return total / numbers.length;
}

/** The standard deviation.
 * @param {Numbers} numbers */
export function deviation(numbers) {
  const middle = mean(numbers);
  let total = 0;
  for (let i = 0; i < numbers.length; i++) total += (numbers[i] - middle) * (numbers[i] - middle);
  return Math.sqrt(total / numbers.length);
}

/** The value that a share (0 to 1) of the numbers does not exceed, between neighbours in line.
 * @param {Numbers} numbers @param {number} share */
export function quantile(numbers, share) {
  const ordered = new Float64Array(numbers).sort();
  const place = share * (ordered.length - 1);
  const before = Math.floor(place);
  const after = Math.min(before + 1, ordered.length - 1);
  return ordered[before] + (place - before) * (ordered[after] - ordered[before]);
}

/** @param {Numbers} numbers */
export const median = (numbers) => quantile(numbers, 0.5);

/** Where the greatest number is, the first of several.
 * @param {Numbers} numbers */
export function argmax(numbers) {
  let best = 0;
  for (let i = 1; i < numbers.length; i++) if (numbers[i] > numbers[best]) best = i;
  return best;
}

/** The greatest number, or `least` where that is greater. Of any length, unlike `Math.max`.
 * @param {Numbers} numbers */
export function greatest(numbers, least = -Infinity) {
  let best = least;
  for (let i = 0; i < numbers.length; i++) if (numbers[i] > best) best = numbers[i];
  return best;
}

/** The greatest magnitude.
 * @param {Numbers} numbers */
export function peak(numbers) {
  let best = 0;
  for (let i = 0; i < numbers.length; i++) best = Math.max(best, Math.abs(numbers[i]));
  return best;
}

/** `count` numbers evenly from `first` to `last`.
 * @param {number} first @param {number} last @param {number} count */
export function spread(first, last, count) {
  const step = count > 1 ? (last - first) / (count - 1) : 0;
  return Float64Array.from({ length: count }, (_, i) => first + i * step);
}

/** To the nearest whole number, to the even one of two as near.
 * @param {number} number */
export function round(number) {
  const whole = Math.round(number);
  return Math.abs(number % 1) === 0.5 && whole % 2 ? whole - 1 : whole;
}

/** To so many digits after the point.
 * @param {number} number @param {number} digits */
export const roundTo = (number, digits) => round(number * 10 ** digits) / 10 ** digits;

/** @param {number} number @param {number} low @param {number} high */
export const clip = (number, low, high) => Math.min(Math.max(number, low), high);

/** First and last + 1 of each run of places that are marked.
 * @param {ArrayLike<number | boolean>} marks @returns {[number, number][]} */
export function findRuns(marks) {
  /** @type {[number, number][]} */
  const runs = [];
  for (let i = 0; i < marks.length; i++) {
    if (!marks[i]) continue;
    if (i && marks[i - 1]) runs[runs.length - 1][1] = i + 1;
    else runs.push([i, i + 1]);
  }
  return runs;
}

/** The window of Hann: `numpy.hanning`.
 * @param {number} length */
export const hann = (length) =>
  Float64Array.from({ length }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (length - 1)));

/** @param {Float32Array[]} parts */
export function concatenate(parts) {
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
