// A channel vocoder: the loudness of 48 bands, heard through tones and noise that lie elsewhere, as
// Python's privacy/channel_vocoder.py, number for number.

import { checksum } from "./checksum.js";
import { fromSpectrum, spectrumOf, transform } from "./fourier.js";
import { RandomNumbers } from "./random-numbers.js";
import { RATE } from "./resampler.js";
import { clip, findRuns, greatest, power, round, spread, sum } from "./statistics.js";

/** @typedef {import("./fourier.js").Spectrum} Spectrum */

const [LOWEST, HIGHEST] = [150, 8000]; // Hz
const BANDS = 48;
const BEND = [0.04, 0.1]; // of the whole range: how far carriers are moved at most, in the middle
const STEEPEST = -0.8; // slope of what is added to the places of carriers: they go on rising
const NOISE_FROM = 6000; // Hz: carriers above are noise
const [SMOOTH, ORDER] = [50, 4]; // Hz and order of the envelopes' Butterworth filter
const [SHELF_FROM, SHELF] = [2000, 6]; // Hz, dB: high frequencies are raised before
const PEAK = 10 ** (-3 / 20); // of what comes out
const KNEE = 0.5; // of full scale: from there on louder sound is limited
const BLOCK = 4096; // samples of which transforms are multiples
const ENVELOPE_TO = 300; // Hz
const OVERSAMPLED = 4; // times, the magnitude of a band
const EDGE = 0.25; // of a band's width: how far it reaches into the next

/** Sound at 16 kHz → as much in another voice, which `seed`, words of 32 bits, chooses.
 * @param {Float32Array} samples @param {number[]} seed */
export function disguiseByVocoder(samples, seed) {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  const phases = new RandomNumbers([...seed, checksum(bytes)]);
  return vocode(samples, drawWarp(seed), phases);
}

/** Where a speaker's carriers lie: edges of bands in Hz, rising.
 * @param {number[]} seed */
function drawWarp(seed) {
  const random = new RandomNumbers(seed);
  const places = spread(0, 1, BANDS + 1); // on the logarithmic scale
  const moved = new Float64Array(BANDS + 1);
  [1, 0.5, 0.25].forEach((share, i) => {
    const size = random.between(BEND[0], BEND[1]) * random.sign() * share;
    places.forEach((place, k) => (moved[k] += size * Math.sin(Math.PI * (i + 1) * place)));
  });
  const slopes = moved.map((_, k) => {
    const [before, after] = [Math.max(k - 1, 0), Math.min(k + 1, BANDS)];
    return (moved[after] - moved[before]) / (places[after] - places[before]);
  });
  const least = -greatest(slopes.map((slope) => -slope));
  const shrunk = least < STEEPEST ? STEEPEST / least : 1;
  return places.map((place, k) => LOWEST * (HIGHEST / LOWEST) ** (place + shrunk * moved[k]));
}

/** @param {Float32Array} samples @param {Float64Array} edges @param {RandomNumbers} phases */
function vocode(samples, edges, phases) {
  const count = samples.length;
  const size = Math.ceil((count + RATE / 8) / BLOCK) * BLOCK; // room for the filters to ring out
  const padded = new Float64Array(size);
  padded.set(samples);
  const given = spectrumOf(padded);
  const hertz = given.real.map((_, line) => (line * RATE) / size);
  const places = hertz.map(toPlace);
  const raised = weight(given, hertz.map((value) =>
    10 ** (SHELF / 20 / (1 + (SHELF_FROM / Math.max(value, 1)) ** 4))));
  /** @type {Spectrum} */
  const tones = { real: new Float64Array(size), imaginary: new Float64Array(size) };
  const noise = new Float64Array(size);
  for (let band = 0; band < BANDS; band++) {
    const inside = makeWindow(places, band / BANDS, (band + 1) / BANDS);
    const envelope = findEnvelope(raised, inside, size);
    const middle = Math.sqrt(edges[band] * edges[band + 1]);
    if (middle < NOISE_FROM) {
      addTone(tones, envelope, round((middle * size) / RATE), phases.between(0, 1));
    } else {
      const width = makeWindow(places, toPlace(edges[band]), toPlace(edges[band + 1]));
      const loudness = fromSpectrum(lengthen(envelope.real, size), lengthen(envelope.imaginary, size));
      makeNoise(phases, width).forEach((value, i) => (noise[i] += loudness[i] * value));
    }
  }
  tones.imaginary.forEach((value, line) => (tones.imaginary[line] = -value));
  transform(tones.real, tones.imaginary); // of the conjugate: the inverse, but for its scale
  const sound = noise.subarray(0, count)
    .map((value, i) => value + (Math.SQRT2 * tones.real[i]) / size);
  const bands = weight(given, makeWindow(places, 0, 1)); // what lies in the bands
  const before = fromSpectrum(bands.real, bands.imaginary).subarray(0, count);
  const gain = Math.sqrt(energy(before)) / Math.max(Math.sqrt(energy(sound)), 1e-12);
  return Float32Array.from(sound, (value) => limit(value * gain));
}

/** Above `KNEE` louder and louder sound is pressed together, so that none exceeds `PEAK`.
 * @param {number} value */
function limit(value) {
  const above = Math.abs(value) - KNEE;
  if (!(above > 0)) return value;
  return Math.sign(value) * (KNEE + (PEAK - KNEE) * Math.tanh(above / (PEAK - KNEE)));
}

/** The spectrum of a band's envelope: its magnitude at as few samples as hold it, smoothed.
 * @param {Spectrum} spectrum @param {Float64Array} window of the band @param {number} size
 * @returns {Spectrum} */
function findEnvelope(spectrum, window, size) {
  const spacing = RATE / size;
  const bins = Math.trunc(ENVELOPE_TO / spacing);
  const there = (/** @type {number} */ line) =>
    window[line] && (spectrum.real[line] || spectrum.imaginary[line]);
  let [first, last] = [0, window.length];
  while (first < last && !there(first)) first++;
  while (first < last && !there(last - 1)) last--;
  if (first === last) return { real: new Float64Array(bins), imaginary: new Float64Array(bins) };
  let few = size / 2; // samples
  while (few % 2 === 0 && few / 2 >= Math.max(2 * bins, OVERSAMPLED * (last - first))) few /= 2;
  const [real, imaginary] = [new Float64Array(few), new Float64Array(few)];
  for (let line = first; line < last; line++) {
    real[line - first] = spectrum.real[line] * window[line];
    imaginary[line - first] = -spectrum.imaginary[line] * window[line];
  }
  transform(real, imaginary);
  const magnitude = real.map((value, i) => Math.hypot(value, imaginary[i]) / few);
  const found = spectrumOf(magnitude);
  const smooth = new Float64Array(bins)
    .map((_, line) => 1 / Math.sqrt(1 + ((line * spacing) / SMOOTH) ** (2 * ORDER)));
  const cut = (/** @type {Float64Array} */ part) => part.slice(0, bins);
  return weight({ real: cut(found.real), imaginary: cut(found.imaginary) }, smooth);
}

/** To a spectrum add a tone in the middle of an envelope's spectrum and its mirror.
 * @param {Spectrum} tones @param {Spectrum} envelope @param {number} middle a line
 * @param {number} phase in turns */
function addTone(tones, envelope, middle, phase) {
  const [c, s] = [Math.cos(2 * Math.PI * phase), Math.sin(2 * Math.PI * phase)];
  const size = tones.real.length;
  for (let away = 1 - envelope.real.length; away < envelope.real.length; away++) {
    const real = envelope.real[Math.abs(away)];
    const imaginary = Math.sign(away) * envelope.imaginary[Math.abs(away)];
    const line = (middle + away + size) % size;
    tones.real[line] += real * c - imaginary * s;
    tones.imaginary[line] += real * s + imaginary * c;
  }
}

/** Noise of a band, RMS 1.
 * @param {RandomNumbers} random @param {Float64Array} window of the band */
function makeNoise(random, window) {
  const [real, imaginary] = [window.slice(), window.slice()];
  const inside = sum(findRuns(window).map(([first, last]) => last - first));
  const drawn = random.normal(2 * inside);
  for (let line = 0, at = 0; line < window.length; line++) {
    if (!window[line]) continue;
    real[line] *= drawn[at++];
    imaginary[line] *= drawn[at++];
  }
  const noise = fromSpectrum(real, imaginary);
  const loudness = Math.max(Math.sqrt(power(noise)), 1e-12);
  return noise.map((value) => value / loudness);
}

/** 1 between two places on the logarithmic scale, with soft edges.
 * @param {Float64Array} places @param {number} low @param {number} high */
function makeWindow(places, low, high) {
  const edge = EDGE * (high - low);
  const soft = (/** @type {number} */ share) => Math.sin((Math.PI / 2) * clip(share + 0.5, 0, 1));
  return places.map((place) => place < low - edge || place > high + edge
    ? 0
    : soft((place - low) / edge / 2) * soft((high - place) / edge / 2));
}

/** From 0, `LOWEST`, to 1, `HIGHEST`, on the logarithmic scale.
 * @param {number} hertz */
const toPlace = (hertz) =>
  Math.log(Math.max(hertz, 1) / LOWEST) / Math.log(HIGHEST / LOWEST);

/** @param {Spectrum} spectrum @param {Float64Array} weights @returns {Spectrum} */
const weight = ({ real, imaginary }, weights) => ({
  real: real.map((value, line) => value * weights[line]),
  imaginary: imaginary.map((value, line) => value * weights[line]),
});

/** Lines of a spectrum's beginning → all of the first half, of so many numbers.
 * @param {Float64Array} lines @param {number} size */
function lengthen(lines, size) {
  const all = new Float64Array(size / 2 + 1);
  all.set(lines);
  return all;
}

/** @param {Float64Array} samples */
const energy = (samples) => power(samples) * samples.length;
