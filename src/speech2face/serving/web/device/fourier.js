// The fast Fourier transform, in place (Cooley and Tukey, 1965): quick where the count of numbers is a
// power of two, slower the larger the odd primes in it are.

/** @typedef {{real: Float64Array, imaginary: Float64Array}} Spectrum */

/** @type {Map<number, {reversed: Uint32Array, cosines: Float64Array, sines: Float64Array}>} */
const plans = new Map();

/** Real and imaginary parts become those of their spectrum, unscaled.
 * @param {Float64Array} real @param {Float64Array} imaginary */
export function transform(real, imaginary) {
  const factor = findOddFactor(real.length);
  if (factor > 1) transformInParts(real, imaginary, factor);
  else transformInHalves(real, imaginary);
}

/** @param {Float64Array} real @param {Float64Array} imaginary */
function transformInHalves(real, imaginary) {
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

/** Every `count`th number, from each of the first ones on, is transformed by itself; then all of them
 * are joined. `count` is an odd prime: of a line and its mirror the sums and differences are the same
 * but for their signs.
 * @param {Float64Array} real @param {Float64Array} imaginary @param {number} count */
function transformInParts(real, imaginary, count) {
  const length = real.length / count;
  const parts = Array.from({ length: count }, (_, part) => {
    const [re, im] = [new Float64Array(length), new Float64Array(length)];
    for (let i = 0; i < length; i++) {
      re[i] = real[i * count + part];
      im[i] = imaginary[i * count + part];
    }
    transform(re, im);
    return { re, im };
  });
  const turns = new Float64Array(2 * count);
  for (let i = 0; i < count; i++) {
    turns[2 * i] = Math.cos((2 * Math.PI * i) / count);
    turns[2 * i + 1] = Math.sin((2 * Math.PI * i) / count);
  }
  const half = (count - 1) / 2;
  const [sumsRe, sumsIm, apartRe, apartIm] = [0, 1, 2, 3].map(() => new Float64Array(half + 1));
  const [re, im] = [new Float64Array(count), new Float64Array(count)];
  for (let line = 0; line < length; line++) {
    const angle = (-2 * Math.PI * line) / real.length;
    for (let part = 0; part < count; part++) {
      const [c, s] = [Math.cos(angle * part), Math.sin(angle * part)];
      re[part] = parts[part].re[line] * c - parts[part].im[line] * s;
      im[part] = parts[part].re[line] * s + parts[part].im[line] * c;
    }
    let [wholeRe, wholeIm] = [re[0], im[0]];
    for (let part = 1; part <= half; part++) {
      sumsRe[part] = re[part] + re[count - part];
      sumsIm[part] = im[part] + im[count - part];
      apartRe[part] = re[part] - re[count - part];
      apartIm[part] = im[part] - im[count - part];
      wholeRe += sumsRe[part];
      wholeIm += sumsIm[part];
    }
    real[line] = wholeRe;
    imaginary[line] = wholeIm;
    for (let row = 1; row <= half; row++) {
      let [evenRe, evenIm, oddRe, oddIm] = [re[0], im[0], 0, 0];
      for (let part = 1, turn = row; part <= half; part++) {
        const [c, s] = [turns[2 * turn], turns[2 * turn + 1]];
        evenRe += sumsRe[part] * c;
        evenIm += sumsIm[part] * c;
        oddRe += apartIm[part] * s;
        oddIm += apartRe[part] * s;
        turn += row;
        if (turn >= count) turn -= count;
      }
      real[row * length + line] = evenRe + oddRe;
      imaginary[row * length + line] = evenIm - oddIm;
      real[(count - row) * length + line] = evenRe - oddRe;
      imaginary[(count - row) * length + line] = evenIm + oddIm;
    }
  }
}

/** The least odd prime that divides a whole number; 1 for a power of two.
 * @param {number} number */
function findOddFactor(number) {
  let rest = number;
  while (rest % 2 === 0) rest /= 2;
  for (let factor = 3; factor * factor <= rest; factor += 2) if (rest % factor === 0) return factor;
  return rest;
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
