// A sample rate becomes another, mostly 16 kHz: a windowed sinc (Kaiser's window), one set of weights for each
// place between two samples. It passes what soxr passes, which Python uses: nothing is lost below
// 7.3 kHz, and nothing is left of what lies above 8 kHz.

export const RATE = 16_000; // Hz

const PASSED = 0.913; // of half the lower rate, that is kept as it is
const SHAPE = 12.93; // of Kaiser's window: 126 dB
const WIDTH = (126 - 8) / 2.285; // times the band of transition in radians: how many samples
const MOST_PHASES = 2000; // sets of weights; of rarer ratios the nearest one is taken

/** Sound at `rate` Hz → at another, 16 kHz; the same one where it has that already.
 * @param {Float32Array} sound @param {number} rate @param {number} wanted */
export function resample(sound, rate, wanted = RATE) {
  if (rate === wanted) return sound;
  const phases = Math.min(wanted / findDivisor(rate, wanted), MOST_PHASES);
  const { weights, reach } = makeWeights(rate, wanted, phases);
  const taps = 2 * reach;
  const result = new Float32Array(Math.ceil((sound.length * wanted) / rate));
  for (let i = 0; i < result.length; i++) {
    const place = (i * rate) / wanted;
    let before = Math.floor(place);
    let phase = Math.round((place - before) * phases);
    if (phase === phases) [before, phase] = [before + 1, 0];
    const first = before - reach + 1;
    const offset = phase * taps - first;
    const end = Math.min(first + taps, sound.length);
    let total = 0;
    for (let at = Math.max(first, 0); at < end; at++) total += sound[at] * weights[offset + at];
    result[i] = total;
  }
  return result;
}

/** @param {number} rate @param {number} wanted @param {number} phases */
function makeWeights(rate, wanted, phases) {
  const half = Math.min(rate, wanted) / 2; // Hz
  const cutoff = ((1 + PASSED) * half) / rate; // twice the cycles a sample
  const reach = Math.ceil(WIDTH / ((2 * Math.PI * (1 - PASSED) * half) / rate) / 2);
  const taps = 2 * reach;
  const weights = new Float32Array(phases * taps);
  const whole = bessel(SHAPE);
  for (let phase = 0; phase < phases; phase++) {
    const set = weights.subarray(phase * taps, (phase + 1) * taps);
    let total = 0;
    for (let tap = 0; tap < taps; tap++) {
      const x = tap - reach + 1 - phase / phases; // samples from the middle
      const inside = 1 - (x / reach) ** 2;
      const window = inside > 0 ? bessel(SHAPE * Math.sqrt(inside)) / whole : 0;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
      set[tap] = sinc * window;
      total += set[tap];
    }
    for (let tap = 0; tap < taps; tap++) set[tap] /= total; // a constant stays what it is
  }
  return { weights, reach };
}

/** The modified Bessel function of order 0.
 * @param {number} x */
function bessel(x) {
  let term = 1;
  let total = 1;
  for (let k = 1; term > 1e-12 * total; k++) {
    term *= (x / (2 * k)) ** 2;
    total += term;
  }
  return total;
}

/** @param {number} a @param {number} b @returns {number} */
function findDivisor(a, b) {
  return b ? findDivisor(b, a % b) : a;
}
