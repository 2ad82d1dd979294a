// Traits of a drawn face that a cartoon keeps, measured on the picture and its landmarks: as
// Python's cartoon_traits.py, which says how and why. Points are [x, y], fractions of the picture.

import { clip, median, quantile, spread } from "./statistics.js";

/** @typedef {[x: number, y: number]} Point */
/** @typedef {number[]} Colour red, green, blue, 0 to 255 */
/** @typedef {import("./pixels.js").Picture} Picture */
/** @typedef {{line: number[], edge: number[], short: boolean, colour: Colour}} HairTraits */
/**
 * @typedef {{landmarks: Point[], centre: Point, unit: number, edge: number[],
 *   hair: HairTraits | null, skin: Colour, brow: Colour, iris: Colour, lips: Colour,
 *   heavyBrow: number, beard: number[], lines: number}} FaceTraits
 */

// Where the landmarks lie among the 66; left and right are the picture's.
export const OVAL = places(0, 18); // clockwise from the top of the forehead; the chin is number 9
export const EYES = [places(18, 26), places(26, 34)];
export const BROWS = [places(34, 39), places(39, 44)]; // the upper edge, from the tail inwards
export const NOSE = places(44, 54);
export const LIPS = places(54, 66);

export const TURN = places(0, 180).map((ray) => (ray * 2 * Math.PI) / 180); // clockwise
/** @type {Point[]} */
export const RAYS = TURN.map((turn) => [Math.cos(turn), Math.sin(turn)]);
export const RISE = RAYS.map(([, y]) => (-Math.asin(y) * 180) / Math.PI); // 90 straight up
const REACH = [...spread(0, 0.8, 161)]; // how far out along a ray the picture is looked at
const GROUND = 200; // the white ground: no channel is darker

/** @param {number} first @param {number} end */
function places(first, end) {
  return Array.from({ length: end - first }, (_, i) => first + i);
}

/** @param {Point[]} points @returns {Point} */
export const middleOf = (points) => [
  points.reduce((sum, [x]) => sum + x, 0) / points.length,
  points.reduce((sum, [, y]) => sum + y, 0) / points.length,
];

/** From one point towards another, by a share of the way.
 * @param {Point} a @param {Point} b @param {number} share @returns {Point} */
export const between = ([ax, ay], [bx, by], share) =>
  [(1 - share) * ax + share * bx, (1 - share) * ay + share * by];

/** @param {Colour} colour @param {Colour} other @param {number} share @returns {Colour} */
export const mix = (colour, other, share) =>
  colour.map((value, i) => (1 - share) * value + share * other[i]);

/** Of each ray, 0 where it rises less than `low` degrees, 1 above `high`, smooth between.
 * @param {number} low @param {number} high */
export const ramp = (low, high) => RISE.map((rise) => {
  const share = clip((rise - low) / (high - low), 0, 1);
  return share ** 2 * (3 - 2 * share);
});

/** What to draw.
 * @param {Picture} picture @param {Point[]} landmarks @returns {FaceTraits} */
export function readFace(picture, landmarks) {
  const [oval, nose, lips] = [OVAL, NOSE, LIPS].map((part) => part.map((i) => landmarks[i]));
  const eyes = EYES.map((eye) => middleOf(eye.map((i) => landmarks[i])));
  const centre = middleOf(eyes);
  const unit = Math.hypot(eyes[1][0] - eyes[0][0], eyes[1][1] - eyes[0][1]);
  const steps = [...spread(-unit, unit, 11)];

  const colour = (/** @type {Point[]} */ points, radius = 0.08, dark = 50) => {
    const seen = points.flatMap(([x, y]) => steps.flatMap((down) => steps.map((right) =>
      look(picture, x + radius * right, y + radius * down))));
    return [0, 1, 2].map((channel) => quantile(seen.map((c) => c[channel]), dark / 100));
  };
  const skin = colour(eyes.map((eye, i) => between(eye, lips[6 * i], 0.5)));
  const darker = (/** @type {Point[]} */ points, /** @type {number} */ bare,
    /** @type {number} */ full, radius = 0.08) => {
    const fraction = 1 - luma(colour(points, radius)) / Math.max(luma(skin), 1);
    return clip((fraction - bare) / (full - bare), 0, 1);
  };
  const upper = [between(nose[6], lips[8], 0.5), between(nose[7], lips[10], 0.5)];
  const shade = darker(upper, 0.12, 0.45, 0.06);
  const chin = Math.min(shade, darker([between(lips[3], oval[9], 0.6)], 0.1, 0.45));
  const moustache = Math.min(shade, 1.5 * chin); // a smile's shadow is no moustache
  const jaw = [between(lips[0], oval[11], 0.65), between(lips[6], oval[7], 0.65)];
  const cheeks = Math.min(chin, darker(jaw, 0.2, 0.45));
  const brows = [36, 41].map((i) => shift(landmarks[i], 0, 0.08 * unit));
  const brow = colour(brows, 0.08, 35);
  const browLuma =
    Math.max(Math.min(1.4 * luma(brow) - 0.4 * luma(skin), 0.75 * luma(skin)), 20);
  const mouth = colour([between(lips[3], lips[9], 0.4)], 0.06);
  const { hair, head } = readHair(picture, landmarks, centre, unit, skin);
  return {
    landmarks,
    centre,
    unit,
    edge: head,
    hair,
    skin: vivid(skin, 1.1),
    brow: brow.map((value) => (value * browLuma) / Math.max(luma(brow), 1)),
    iris: vivid(colour(eyes, 0.05, 40).map((value) => 1.2 * value), 1.3),
    lips: mix(vivid(mouth, 1.3), skin, 0.15),
    heavyBrow: darker(brows, 0.1, 0.5),
    beard: [cheeks, chin, moustache],
    lines: readLines(picture, nose, lips, unit),
  };
}

/** How deep the folds from nose to mouth are, against the skin on both their sides.
 * @param {Picture} picture @param {Point[]} nose @param {Point[]} lips @param {number} unit */
function readLines(picture, nose, lips, unit) {
  const aside = [...spread(-0.05 * unit, 0.35 * unit, 17)];
  const depths = [-1, 1].map((sign) => {
    const [wing, corner] = sign < 0 ? [nose[8], lips[0]] : [nose[9], lips[6]];
    const end = shift(corner, 0.1 * sign * unit, 0);
    const way = places(2, 11).map((step) => between(wing, end, step / 11));
    const light = aside.map((by) => Math.max(average(way.flatMap(([x, y]) =>
      look(picture, x + sign * by, y))), 1));
    const ends = spread(average(light.slice(0, 3)), average(light.slice(-3)), 17);
    return light.map((value, i) => 1 - value / ends[i]);
  });
  const deepest = Math.max(...depths[0].map((depth, i) => (depth + depths[1][i]) / 2));
  return clip((deepest - 0.03) / 0.04, 0, 1);
}

/** The hair, if any, and how far the skin reaches along each ray.
 * @param {Picture} picture @param {Point[]} landmarks @param {Point} centre @param {number} unit
 * @param {Colour} cheek @returns {{hair: HairTraits | null, head: number[]}} */
function readHair(picture, landmarks, centre, unit, cheek) {
  const at = (/** @type {number} */ i) => landmarks[i];
  const oval = even(radii(OVAL.map(at), centre));
  const looked = RAYS.map(([x, y]) => REACH.map((reach) => {
    const place = /** @type {Point} */ ([centre[0] + x * reach, centre[1] + y * reach]);
    const colour = look(picture, ...place);
    const beyond = Math.max(...place.map((value) => Math.abs(value - 0.5))) > 0.5;
    return { colour, ground: Math.min(...colour) > GROUND || beyond };
  }));
  const found = looked.map((ray, r) =>
    first(ray.map(({ ground }, k) => ground && 0.9 * oval[r] < REACH[k])));
  // Wisps at the picture's upper border are no hair.
  const [much, little] = [slide(found, 12), slide(found, 3)];
  const outer = even(smooth(RISE.map((rise, r) => (rise > 0 ? much : little)[r]), 3));
  // Beside the ears the picture's edge is theirs; the head's goes on from above them.
  const besideEar = average(outer.flatMap((reach, r) =>
    Math.abs(RISE[r] - 20) < 4 ? [reach - oval[r]] : []));
  const rising = ramp(-14, 20);
  const head = smooth(oval.map((reach, r) => {
    const thick = RISE[r] < 20 ? besideEar : outer[r] - reach;
    return reach + Math.max(thick, 0.06 * unit) * rising[r];
  }), 4);
  // Hair is what is least like the skin of cheeks and brow; that of the bald is much like it.
  const forehead = between(at(0), centre, 0.5);
  const seen = RAYS.map(([x, y]) =>
    look(picture, forehead[0] + 0.15 * unit * x, forehead[1] + 0.15 * unit * y));
  const brow = [0, 1, 2].map((channel) => average(seen.map((colour) => colour[channel])));
  const unlikeSkin = looked.map((ray) => ray.map(({ colour }) =>
    Math.min(unlike(colour, cheek), unlike(colour, brow))));
  const isOver = (/** @type {number} */ r, /** @type {number} */ k) =>
    RISE[r] > 15 && oval[r] < REACH[k] && REACH[k] < 0.93 * outer[r];
  const over = unlikeSkin.flatMap((ray, r) => ray.filter((_, k) => isOver(r, k)));
  const contrast = over.length ? quantile(over, 0.8) : 0;
  if (contrast < 0.15) return { hair: null, head };
  const isHair = unlikeSkin.map((ray) => ray.map((value) => value > 0.45 * contrast));
  const ofHair = looked.flatMap((ray, r) =>
    ray.flatMap(({ colour }, k) => (isOver(r, k) && isHair[r][k] ? [colour] : [])));
  const colour = [0, 1, 2].map((channel) => quantile(ofHair.map((c) => c[channel]), 0.65));
  // Seen from above the brows, and beside them from the temples: where skin turns into hair.
  const brows = BROWS.flat().map((i) => shift(at(i), 0, -0.12 * unit));
  const temples = [3, 15].map((i) => between(centre, at(i), 0.85));
  const start = radii([...brows, ...temples, ...landmarks.slice(4, 15)], centre);
  const begins = isHair.map((ray, r) => first(ray.map((is, k) => is && start[r] < REACH[k])));
  const seenLine = smooth(even(slide(begins, 11)), 5).map((reach, r) =>
    Math.min(reach, outer[r] - 0.1 * unit));
  // Short hair leaves the ground beside the mouth white.
  const beside = [shift(at(12), -0.17 * unit, 0), shift(at(6), 0.17 * unit, 0)];
  const short = median(beside.map((place) => Math.min(...look(picture, ...place)))) > GROUND;
  const edge = short
    ? head
    : smooth(outer.map((reach, r) => Math.max(reach, oval[r] + 0.06 * unit)), 4);
  const wide = short ? ramp(-14, -2) : ramp(-30, 10);
  const line = join(seenLine, oval.map((reach, r) => reach - 0.1 * unit * wide[r]));
  const inner = join(line.map((reach, r) => (reach + outer[r]) / 2), oval);
  return { hair: { line, edge, short, colour: vivid(colour, 1.1) }, head: inner };
}

/** How far the outline of points around a centre lies along each ray.
 * @param {Point[]} points @param {Point} centre */
function radii(points, centre) {
  const around = points.map(([x, y]) => {
    const [right, down] = [x - centre[0], y - centre[1]];
    const turn = (Math.atan2(down, right) + 2 * Math.PI) % (2 * Math.PI);
    return { turn, far: Math.hypot(right, down) };
  }).sort((a, b) => a.turn - b.turn);
  const last = around[around.length - 1];
  const whole = [
    { ...last, turn: last.turn - 2 * Math.PI },
    ...around,
    { ...around[0], turn: around[0].turn + 2 * Math.PI },
  ];
  return interpolate(TURN, whole.map(({ turn }) => turn), whole.map(({ far }) => far));
}

/** `numpy.interp`.
 * @param {number[]} places @param {number[]} known ascending @param {number[]} values */
export function interpolate(places, known, values) {
  return places.map((place) => {
    const after = known.findIndex((one) => one > place);
    if (after < 0) return values[values.length - 1];
    if (after === 0) return values[0];
    const share = (place - known[after - 1]) / (known[after] - known[after - 1]);
    return values[after - 1] + share * (values[after] - values[after - 1]);
  });
}

/** The colour of the picture at a point.
 * @param {Picture} picture @param {number} x @param {number} y @returns {Colour} */
function look({ side, pixels }, x, y) {
  const [column, row] = [x, y].map((value) => Math.trunc(clip(value * side, 0, side - 1)));
  const place = 3 * (row * side + column);
  return [pixels[place], pixels[place + 1], pixels[place + 2]];
}

/** How far along a ray something is found; the end where nowhere.
 * @param {boolean[]} found */
const first = (found) => REACH[found.includes(true) ? found.indexOf(true) : REACH.length - 1];

/** Left and right alike: the mean of both.
 * @param {number[]} reaches */
const even = (reaches) =>
  reaches.map((reach, r) => (reach + reaches[(270 - r) % 180]) / 2);

/** One edge that passes from one into the other beside the eyes.
 * @param {number[]} above @param {number[]} below */
const join = (above, below) => smooth(above.map((reach, r) => {
  const share = clip((RISE[r] + 5) / 25, 0, 1);
  return share * reach + (1 - share) * below[r];
}), 4);

/** The values of the rays around each.
 * @param {number[]} reaches @param {number} ray @param {number} reach */
const around = (reaches, ray, reach) => places(ray - reach, ray + reach + 1)
  .map((r) => reaches[(r + reaches.length) % reaches.length]);

/** The median of the rays around each.
 * @param {number[]} reaches @param {number} reach */
const slide = (reaches, reach) => reaches.map((_, r) => median(around(reaches, r, reach)));

/** @param {number[]} reaches @param {number} reach */
function smooth(reaches, reach) {
  const weights = places(1, 2 * reach + 2).map((i) =>
    (0.5 - 0.5 * Math.cos((Math.PI * i) / (reach + 1))) / (reach + 1));
  return reaches.map((_, r) =>
    around(reaches, r, reach).reduce((sum, value, i) => sum + weights[i] * value, 0));
}

/** @param {Point} point @param {number} right @param {number} down @returns {Point} */
export const shift = ([x, y], right, down) => [x + right, y + down];

/** @param {number[]} values */
const average = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** @param {Colour} colour */
const luma = ([red, green, blue]) => 0.299 * red + 0.587 * green + 0.114 * blue;

/** How far a colour is from another, hue before lightness.
 * @param {Colour} colour @param {Colour} other */
function unlike(colour, other) {
  const [light, dark] = [Math.max(luma(colour), 1), Math.max(luma(other), 1)];
  const [red, , blue] = colour.map((value, i) => value / light - other[i] / dark);
  return Math.hypot(red, blue) + Math.abs(light - dark) / (light + dark);
}

/** More saturated, as light as before.
 * @param {Colour} colour @param {number} by @returns {Colour} */
const vivid = (colour, by) => {
  const light = luma(colour);
  return colour.map((value) => clip(light + by * (value - light), 0, 255));
};
