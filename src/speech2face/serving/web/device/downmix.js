// Channels become one, as Python's media/downmix.py does: averaged, within ±1, finite, and without
// channels that cancel each other. Where they are out of phase, those that run against the loudest
// are inverted first; that is decided once a second.

import { spectrumOf } from "./fourier.js";
import { clip, greatest, mean, peak, sum } from "./statistics.js";

/** @typedef {import("./wav-reader.js").Sound} Sound */

const CANCELLED = 5; // times the energy of the average that inverting wins: channels are inverted
const COHERENT = 1.5; // times, below which they are averaged as they are again
const LOW = 200; // Hz: where the band begins in which phases are compared
const HIGH = 2000;
const SILENT = 1e-9; // mean energy in the band below which no phase can be seen
const CROSSFADE = 0.02; // s
const FULL_SCALE = 0.999; // from here on a sample counts as clipped
const OVERSHOOT = 2; // how far decoders of lossy sound reach beyond ±1
const SLOT = 0.032; // s, for which the level of each channel is kept

/** Sound in channels → mono, `warnings`, and `levels`: the mean square of each channel every 32 ms,
 * null where there is one channel.
 * @param {Sound} sound
 * @returns {{mono: Float32Array, warnings: string[], levels: Float64Array[] | null}} */
export function mixDown(sound) {
  const warnings = [...sound.notes];
  const { channels, silenced } = silenceBroken(sound.channels);
  const reached = greatest(channels.map(peak), 0);
  const headroom = sound.lossless ? 1 : OVERSHOOT;
  const gain = reached > headroom ? 1 / reached : 1;
  if (reached > 1) {
    for (const channel of channels) {
      for (let i = 0; i < channel.length; i++) channel[i] = clip(channel[i] * gain, -1, 1);
    }
  }
  const { mono, inverted } = average(channels, sound.rate);
  if (inverted.length) {
    const one = inverted.length === 1;
    warnings.push(
      "the channels are out of phase and would cancel each other: " +
        `channel${one ? "" : "s"} ${inverted.join(" and ")} ${one ? "was" : "were"} inverted`,
    );
  }
  if (silenced) warnings.push(`${silenced} samples were not finite and were silenced`);
  if (gain < 1) {
    const words = Number(reached.toPrecision(3));
    warnings.push(`the samples reach ${words} and were scaled down to ±1`);
  }
  const share = mean(channels.map(countClipped)) / (mono.length || 1);
  if (share > 0.01) {
    warnings.push(
      `the sound is clipped: ${Math.round(100 * share)}% of its samples are at full scale`,
    );
  }
  const levels = channels.length > 1
    ? channels.map((channel) => measureSlots(channel, sound.rate))
    : null;
  return { mono, warnings, levels };
}

/** @param {Float32Array[]} channels */
function silenceBroken(channels) {
  let silenced = 0;
  for (const channel of channels) {
    for (let i = 0; i < channel.length; i++) {
      if (Number.isFinite(channel[i])) continue;
      channel[i] = 0;
      silenced++;
    }
  }
  return { channels, silenced };
}

/** @param {Float32Array} channel */
const countClipped = (channel) =>
  channel.reduce((count, value) => count + Number(Math.abs(value) >= FULL_SCALE), 0);

/** The mean of channels, of which those that would cancel each other were inverted; from 1.
 * @param {Float32Array[]} channels @param {number} rate */
function average(channels, rate) {
  const [first] = channels;
  if (channels.length === 1) return { mono: first, inverted: [] };
  const mono = new Float32Array(first.length);
  const inverted = new Set();
  /** @type {number[]} */
  let signs = channels.map(() => 1);
  for (let start = 0; start < first.length; start += rate) {
    const parts = channels.map((channel) => channel.subarray(start, start + rate));
    const found = findSigns(parts, rate, signs);
    const before = start ? signs : found;
    const fade = before.every((sign, i) => sign === found[i]) ? 0 : Math.round(CROSSFADE * rate);
    for (let i = 0; i < parts[0].length; i++) {
      const share = i < fade ? i / (fade - 1) : 1;
      let total = 0;
      parts.forEach((part, c) => {
        total += (share * found[c] + (1 - share) * before[c]) * part[i];
      });
      mono[start + i] = total / parts.length;
    }
    signs = found;
    signs.forEach((sign, c) => sign < 0 && inverted.add(c + 1));
  }
  return { mono, inverted: [...inverted].sort() };
}

/** 1 or -1 for each channel, those of the second before where nothing says otherwise.
 * @param {Float32Array[]} parts @param {number} rate @param {number[]} before */
function findSigns(parts, rate, before) {
  const step = Math.max(Math.round(rate / (2 * HIGH)), 1);
  const length = Math.floor(parts[0].length / step);
  const padded = 2 ** Math.ceil(Math.log2(Math.max(length, 2)));
  const [first, last] = [LOW, HIGH].map((hertz) => (hertz * padded * step) / rate);
  if (!length || Math.floor(last) < Math.ceil(first)) return before;
  const bands = parts.map((part) => {
    const low = new Float64Array(padded);
    for (let i = 0; i < length; i++) low[i] = mean(part.subarray(i * step, (i + 1) * step));
    const { real, imaginary } = spectrumOf(low);
    const band = [Math.ceil(first), Math.floor(last) + 1];
    return { real: real.slice(...band), imaginary: imaginary.slice(...band) };
  });
  const products = bands.map((a) => bands.map((b) =>
    sum(a.real.map((x, i) => x * b.real[i] + a.imaginary[i] * b.imaginary[i]))));
  const energies = products.map((row, c) => row[c]);
  const loudest = energies.indexOf(greatest(energies));
  if (energies[loudest] < SILENT * length * padded) return before;
  let signs = products[loudest].map((product) => Number(product < 0 ? -1 : 1));
  const turn = Math.sign(sum(signs.map((sign, c) => sign * before[c]))) || signs[0];
  signs = signs.map((sign) => sign * turn);
  const plain = sum(products.map(sum));
  const turned = sum(products.map((row, a) => signs[a] * sum(row.map((x, b) => x * signs[b]))));
  const needed = before.every((sign) => sign > 0) ? CANCELLED : COHERENT;
  return turned > needed * plain ? signs : signs.map(() => 1);
}

/** The mean square of each slot of 32 ms that is full.
 * @param {Float32Array} channel @param {number} rate */
function measureSlots(channel, rate) {
  const length = SLOT * rate;
  return Float64Array.from({ length: Math.floor(channel.length / length) }, (_, slot) => {
    const [start, end] = [Math.round(slot * length), Math.round((slot + 1) * length)];
    let total = 0;
    for (let i = start; i < end; i++) total += channel[i] * channel[i];
    return total / (end - start);
  });
}
