// NumPy's random numbers, number for number: `default_rng(seed)` with `standard_normal`, `uniform`
// and `choice([-1, 1])`. PCG64 (O'Neill, 2014) behind NumPy's SeedSequence; the ziggurat of Marsaglia and Tsang
// (2000) with 256 layers makes normal numbers.

const LIMBS = 8; // of 16 bits, the lowest first: a state of 128 bits
const MULTIPLIER = limbs(0x2360ed051fc65da44385df649fccf645n);
const POOL = 4; // words of a SeedSequence
const EDGE = 3.654152885361009; // where the tail of the ziggurat begins
const AREA = 0.004928673233974655; // of each of its layers
const TWO_52 = 2 ** 52;

/** @typedef {{widths: Float64Array, inside: Float64Array, heights: Float64Array}} Layers */

/** @type {Layers | undefined} */
let layers;

export class RandomNumbers {
  #state = new Uint32Array(LIMBS);
  #step;
  #product = new Uint32Array(LIMBS);
  #high = 0; // the last 64 bits drawn
  #low = 0;
  /** @type {number | null} */
  #half = null; // of the last 64 bits, that `sign` has not used yet

  /** @param {number | number[]} seed 0 or more; or words of 32 bits */
  constructor(seed) {
    const words = expandSeed(seed);
    const joined = (/** @type {number} */ at) =>
      words.slice(at, at + 2).reduce((sum, word) => (sum << 64n) | word, 0n);
    this.#step = limbs((joined(2) << 1n) | 1n);
    this.#advance();
    addTo(this.#state, limbs(joined(0)));
    this.#advance();
  }

  /** As many numbers from 0 up to `end`: `uniform(0, end, count)`.
   * @param {number} end @param {number} count */
  uniform(end, count) {
    return Float64Array.from({ length: count }, () => end * this.#fraction());
  }

  /** One number from `low` up to `high`: `uniform(low, high)`.
   * @param {number} low @param {number} high */
  between(low, high) {
    return low + (high - low) * this.#fraction();
  }

  /** 1 or -1: `choice([-1, 1])`. */
  sign() {
    let bits = this.#half;
    this.#half = null;
    if (bits === null) {
      this.#draw();
      [bits, this.#half] = [this.#low, this.#high];
    }
    return bits >>> 31 ? 1 : -1;
  }

  /** `standard_normal(count)`.
   * @param {number} count */
  normal(count) {
    const numbers = new Float64Array(count);
    for (let i = 0; i < count; i++) numbers[i] = this.#normal();
    return numbers;
  }

  #normal() {
    layers ??= makeLayers();
    for (;;) {
      this.#draw();
      const layer = this.#low & 0xff;
      const negative = (this.#low >>> 8) & 1;
      // Bits 9 to 60 of the 64.
      const whole = (this.#high & 0x1fffffff) * 2 ** 23 + (this.#low >>> 9);
      const size = whole * layers.widths[layer];
      if (whole < layers.inside[layer]) return negative ? -size : size;
      if (layer === 0) {
        for (;;) {
          const beyond = -Math.log1p(-this.#fraction()) / EDGE;
          const height = -Math.log1p(-this.#fraction());
          if (2 * height > beyond * beyond) {
            return Math.floor(whole / 256) % 2 ? -(EDGE + beyond) : EDGE + beyond;
          }
        }
      }
      const { heights } = layers;
      const height = (heights[layer - 1] - heights[layer]) * this.#fraction() + heights[layer];
      if (height < Math.exp(-0.5 * size * size)) return negative ? -size : size;
    }
  }

  /** From 0 up to 1, in steps of 2⁻⁵³. */
  #fraction() {
    this.#draw();
    return (this.#high * 2 ** 21 + (this.#low >>> 11)) / 2 ** 53;
  }

  /** The next 64 bits: the halves of the state xored, turned by its highest six bits. */
  #draw() {
    this.#advance();
    const s = this.#state;
    const low = (s[0] ^ s[4]) | ((s[1] ^ s[5]) << 16);
    const high = (s[2] ^ s[6]) | ((s[3] ^ s[7]) << 16);
    const turn = s[7] >>> 10;
    const [a, b] = turn & 32 ? [high, low] : [low, high];
    const by = turn & 31;
    this.#low = (by ? (a >>> by) | (b << (32 - by)) : a) >>> 0;
    this.#high = (by ? (b >>> by) | (a << (32 - by)) : b) >>> 0;
  }

  #advance() {
    const state = this.#state;
    const product = this.#product;
    let carry = 0;
    for (let at = 0; at < LIMBS; at++) {
      let sum = carry + this.#step[at];
      for (let i = 0; i <= at; i++) sum += state[i] * MULTIPLIER[at - i];
      product[at] = sum % 65536;
      carry = Math.floor(sum / 65536);
    }
    state.set(product);
  }
}

/** @param {bigint} number */
function limbs(number) {
  return Uint32Array.from({ length: LIMBS }, (_, at) =>
    Number((number >> BigInt(16 * at)) & 0xffffn));
}

/** @param {Uint32Array} sum @param {Uint32Array} number */
function addTo(sum, number) {
  let carry = 0;
  for (let at = 0; at < LIMBS; at++) {
    const total = sum[at] + number[at] + carry;
    sum[at] = total & 0xffff;
    carry = total >>> 16;
  }
}

/** NumPy's `SeedSequence(seed).generate_state(4, uint64)`.
 * @param {number | number[]} seed */
function expandSeed(seed) {
  const entropy = typeof seed === "number" ? cutWords(seed) : seed;
  let constant = 0x43b0d7e5;
  const hash = (/** @type {number} */ word, /** @type {number} */ multiplier) => {
    let value = word ^ constant;
    constant = Math.imul(constant, multiplier);
    value = Math.imul(value, constant);
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mix = (/** @type {number} */ a, /** @type {number} */ b) => {
    const value = (Math.imul(0xca01f9dd, a) - Math.imul(0x4973f715, b)) | 0;
    return (value ^ (value >>> 16)) >>> 0;
  };
  const pool = Array.from({ length: POOL }, (_, at) => hash(entropy[at] ?? 0, 0x931e8875));
  for (let from = 0; from < POOL; from++) {
    for (let to = 0; to < POOL; to++) {
      if (from !== to) pool[to] = mix(pool[to], hash(pool[from], 0x931e8875));
    }
  }
  for (const word of entropy.slice(POOL)) {
    for (let to = 0; to < POOL; to++) pool[to] = mix(pool[to], hash(word, 0x931e8875));
  }
  constant = 0x8b51f9dd;
  const words = Array.from({ length: 8 }, (_, at) => hash(pool[at % POOL], 0x58f38ded));
  return Array.from({ length: 4 }, (_, at) =>
    (BigInt(words[2 * at + 1]) << 32n) | BigInt(words[2 * at]));
}

/** A whole number in words of 32 bits, the lowest first.
 * @param {number} number */
function cutWords(number) {
  const words = [];
  for (let rest = number; rest > 0; rest = Math.floor(rest / 2 ** 32)) words.push(rest % 2 ** 32);
  return words;
}

/** @returns {Layers} */
function makeLayers() {
  const [widths, inside, heights] = [0, 1, 2].map(() => new Float64Array(256));
  const height = (/** @type {number} */ x) => Math.exp(-0.5 * x * x);
  let x = EDGE;
  const base = AREA / height(x);
  widths[0] = base / TWO_52;
  inside[0] = (x / base) * TWO_52;
  heights[0] = 1;
  widths[255] = x / TWO_52;
  heights[255] = height(x);
  for (let layer = 254; layer > 0; layer--) {
    const outer = x;
    x = Math.sqrt(-2 * Math.log(AREA / x + height(x)));
    inside[layer + 1] = (x / outer) * TWO_52;
    widths[layer] = x / TWO_52;
    heights[layer] = height(x);
  }
  return { widths, inside, heights };
}
