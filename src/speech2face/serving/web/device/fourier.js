// The fast Fourier transform of a power of two numbers, in place (Cooley and Tukey, 1965).

/** @typedef {{real: Float64Array, imaginary: Float64Array}} Spectrum */

/** @type {Map<number, {reversed: Uint32Array, cosines: Float64Array, sines: Float64Array}>} */
const plans = new Map();

/** Real and imaginary parts become those of their spectrum, unscaled.
 * @param {Float64Array} real @param {Float64Array} imaginary */
export function transform(real, imaginary) {
  const { reversed, cosines, sines } = plan(real.length);
  const length = real.length;
  for (let i = 0; i < length; i++) {
    const j = reversed[i];
    if (i < j) {
      const re = real[i];
      const im = imaginary[i];
      real[i] = real[j];
      imaginary[i] = imaginary[j];
      real[j] = re;
      imaginary[j] = im;
    }
  }
  for (let half = 1; half < length; half *= 2) {
    const stride = length / (2 * half);
    for (let start = 0; start < length; start += 2 * half) {
      for (let k = 0; k < half; k++) {
        const c = cosines[k * stride];
        const s = sines[k * stride];
        const a = start + k;
        const b = a + half;
        const x = real[b] * c + imaginary[b] * s;
        const y = imaginary[b] * c - real[b] * s;
        real[b] = real[a] - x;
        imaginary[b] = imaginary[a] - y;
        real[a] += x;
        imaginary[a] += y;
      }
    }
  }
}

/** The spectrum of real numbers, its first half: `numpy.fft.rfft`.
 * @param {ArrayLike<number>} numbers @returns {Spectrum} */
export function spectrumOf(numbers) {
  const real = new Float64Array(numbers); // .from would take ten times as long
  const imaginary = new Float64Array(real.length);
  transform(real, imaginary);
  const lines = real.length / 2 + 1;
  return { real: real.slice(0, lines), imaginary: imaginary.slice(0, lines) };
}

/** The real numbers of a spectrum's first half: `numpy.fft.irfft`.
 * @param {Float64Array} real @param {Float64Array} [imaginary] none: all zero */
export function fromSpectrum(real, imaginary) {
  const length = 2 * (real.length - 1);
  const [re, im] = [new Float64Array(length), new Float64Array(length)];
  for (let line = 0; line < real.length; line++) {
    const mirrored = (length - line) % length;
    re[line] = re[mirrored] = real[line] / length;
    const value = imaginary && mirrored !== line ? imaginary[line] / length : 0;
    im[line] = -value; // conjugated, so that the forward transform goes back
    im[mirrored] = value;
  }
  if (imaginary) im[0] = im[length / 2] = 0;
  transform(re, im);
  return re;
}

/** The power in each line of the spectrum of real numbers.
 * @param {ArrayLike<number>} numbers */
export function powerSpectrum(numbers) {
  const { real, imaginary } = spectrumOf(numbers);
  return real.map((value, line) => value * value + imaginary[line] * imaginary[line]);
}

/** @param {number} length */
function plan(length) {
  let made = plans.get(length);
  if (!made) {
    const bits = Math.log2(length);
    if (!Number.isInteger(bits)) throw new RangeError(`${length} is no power of two`);
    const reversed = new Uint32Array(length);
    for (let i = 1; i < length; i++) {
      reversed[i] = (reversed[i >> 1] >> 1) | (i & 1 ? length >> 1 : 0);
    }
    const angles = Float64Array.from({ length: length / 2 }, (_, i) => (2 * Math.PI * i) / length);
    made = { reversed, cosines: angles.map(Math.cos), sines: angles.map(Math.sin) };
    plans.set(length, made);
  }
  return made;
}
