// The same face as a flat illustration, for pictures that should not pass for photographs: shape by
// shape as Python's cartoon.py draws it.

import {
  BROWS, EYES, LIPS, NOSE, OVAL, RAYS, RISE, TURN, between, interpolate, middleOf, mix, ramp,
  readFace, shift,
} from "./cartoon-traits.js";
import { Sheet } from "./polygons.js";
import { clip, spread } from "./statistics.js";

/** @typedef {import("./cartoon-traits.js").Point} Point */
/** @typedef {import("./cartoon-traits.js").Colour} Colour */
/** @typedef {import("./cartoon-traits.js").FaceTraits} FaceTraits */
/** @typedef {import("./cartoon-traits.js").HairTraits} HairTraits */
/** @typedef {import("./pixels.js").Picture} Picture */

const ZOOM = 0.82; // the drawing shows more than the picture: the shoulders
const TOP = 0.04;

const WHITE = [255, 255, 255];
const EYE_WHITE = [250, 248, 245];
const DARK = [20, 8, 10];
const INK = [40, 28, 26];
const BLUSH = [235, 95, 85];

/** A drawn face and its 66 landmarks → the illustration.
 * @param {Picture} picture @param {Point[]} landmarks @param {number} side in pixels */
export function drawCartoon(picture, landmarks, side) {
  const face = readFace(picture, landmarks);
  const pen = new Pen(side);
  if (face.hair && !face.hair.short) drawFallingHair(pen, face, face.hair);
  drawBust(pen, face);
  drawHead(pen, face);
  drawNose(pen, face);
  drawBeard(pen, face);
  drawAge(pen, face);
  drawLips(pen, face);
  EYES.forEach((eye, i) => {
    drawEye(pen, face, eye.map((n) => landmarks[n]));
    drawBrow(pen, face, BROWS[i].map((n) => landmarks[n]));
  });
  if (face.hair) drawHair(pen, face, face.hair);
  return pen.finish();
}

/** Points of units, from a place.
 * @param {Point} from @param {number} unit @param {Point[]} points @returns {Point[]} */
const place = (from, unit, points) => points.map(([x, y]) => shift(from, unit * x, unit * y));

/** Distances along the rays → points.
 * @param {FaceTraits} face @param {number[]} reaches @returns {Point[]} */
const along = ({ centre }, reaches) =>
  reaches.map((reach, r) => shift(centre, reach * RAYS[r][0], reach * RAYS[r][1]));

/** Behind the shoulders.
 * @param {Pen} pen @param {FaceTraits} face @param {HairTraits} hair */
function drawFallingHair(pen, face, hair) {
  const { centre, landmarks, unit } = face;
  /** @type {Point[]} */
  const side = [];
  for (let ray = 135; ray < 200; ray += 8) { // from the top
    const r = ray % RAYS.length;
    side.push([hair.edge[r] * RAYS[r][0], hair.edge[r] * RAYS[r][1]]);
  }
  const [wide, low] = shift(side[side.length - 1], 0.02 * unit, 0.35 * unit);
  const last = Math.min(wide, 1.5 * unit);
  const end = landmarks[9][1] - centre[1] + 0.95 * unit;
  /** @type {Point[]} */
  const fall = [
    [wide, low], [0.4 * wide + 0.6 * last, 0.4 * low + 0.6 * end], [0.9 * last, end],
    [0.6 * last, end + 0.1 * unit],
  ];
  pen.fill(place(centre, 1, curve(mirror([...side, ...fall]), false)), hair.colour);
  const inner = (0.93 / 2) *
    (Math.abs(landmarks[5][0] - centre[0]) + Math.abs(landmarks[13][0] - centre[0]));
  const box = place(centre, 1, [[-inner, 0], [inner, 0], [inner, end], [-inner, end]]);
  pen.fill(box, mix(hair.colour, DARK, 0.3));
}

/** Over the head: from the hairline out, down to the tips beside the face.
 * @param {Pen} pen @param {FaceTraits} face @param {HairTraits} hair */
function drawHair(pen, face, hair) {
  const rising = ramp(-45, -20);
  const thick = hair.edge.map((edge, r) =>
    (edge - hair.line[r]) * (hair.short ? 1 : 0.94 * rising[r]));
  const layer = (/** @type {number | number[]} */ share) => along(face, hair.line.map((line, r) =>
    line + (typeof share === "number" ? share : share[r]) * thick[r]));
  const over = RAYS.map((_, r) => (r + 45) % RAYS.length).filter((r) => thick[r] > 0);
  const [inner, outer] = [layer(0), layer(1)].map((edge) => over.map((r) => edge[r]));
  pen.fill([...inner, ...outer.reverse()], hair.colour);
  // A band of light over the crown, and strands.
  const swell = TURN.map((turn) =>
    clip(1 - Math.abs((turn * 180) / Math.PI - 245) / 32, 0, 1) ** 0.5);
  const [lower, upper] = [layer(0.5), layer(swell.map((value) => 0.5 + 0.25 * value))]
    .map((edge) => edge.filter((_, r) => swell[r] > 0));
  pen.fill([...lower, ...upper.reverse()], mix(hair.colour, WHITE, 0.12));
  for (const [first, last, share] of
    [[150, 172, 0.3], [97, 118, 0.3], [96, 112, 0.65], [146, 174, 0.7]]) {
    const strand = layer(share).slice(first, last);
    pen.stroke(strand, 0.03 * face.unit, mix(hair.colour, DARK, 0.22));
  }
}

/** @param {Pen} pen @param {FaceTraits} face */
function drawBust(pen, face) {
  const { landmarks, unit, skin } = face;
  const [left, chin, right] = [landmarks[11], landmarks[9], landmarks[7]];
  const wide = (0.45 * (right[0] - left[0])) / unit;
  const low = mix(skin, DARK, 0.07);
  /** @type {Point[]} */
  const half = [
    [0, -1], [wide, -1], [wide, 0], [wide + 0.06, 0.34], [wide + 0.4, 0.6], [1.5, 0.8],
    [1.85, 1.2], [1.95, 2.6], [0, 2.6],
  ];
  pen.fill(place(chin, unit, curve(mirror(half), false)), low);
  const shadow = along(face, face.edge).filter((_, r) => RISE[r] < 0).map(([x, y]) =>
    /** @type {Point} */ ([chin[0] + clip(x - chin[0], -unit * wide, unit * wide), y + 0.2 * unit]));
  pen.fill(shadow, mix(skin, DARK, 0.22));
  for (const sign of [-1, 1]) {
    /** @type {Point[]} */
    const bone = [[0.16 * sign, 1.06], [0.3 * sign, 0.98], [0.7 * sign, 1], [1.2 * sign, 0.93]];
    pen.stroke(place(chin, unit, curve(bone, false)), 0.035 * unit, mix(low, DARK, 0.14));
  }
}

/** @param {Pen} pen @param {FaceTraits} face */
function drawHead(pen, face) {
  const { centre, landmarks, unit, skin } = face;
  const shade = mix(skin, DARK, 0.14);
  for (const number of !face.hair || face.hair.short ? [14, 4] : []) {
    const ear = between(centre, landmarks[number], 1.03);
    pen.fill(ellipse(ear, 0.16 * unit, 0.28 * unit), skin);
    pen.fill(ellipse(ear, 0.09 * unit, 0.15 * unit), shade);
  }
  pen.fill(along(face, face.edge), skin);
  [54, 60].forEach((corner, i) => {
    const cheek = between(landmarks[corner], middleOf(EYES[i].map((n) => landmarks[n])), 0.55);
    cheek[0] += 0.12 * (cheek[0] - centre[0]);
    pen.fill(ellipse(cheek, 0.2 * unit, 0.13 * unit), mix(skin, BLUSH, 0.13));
  });
}

/** @param {Pen} pen @param {FaceTraits} face */
function drawNose(pen, face) {
  const { landmarks, unit, skin } = face;
  const nose = NOSE.map((n) => landmarks[n]);
  /** Near landmarks of the nose, by so many units.
   * @param {number[]} numbers @param {number[]} right @param {number[]} down */
  const outline = (numbers, right, down) =>
    numbers.map((n, i) => shift(nose[n], unit * right[i], unit * down[i]));
  const [shade, dark] = [mix(skin, DARK, 0.14), mix(skin, DARK, 0.45)];
  pen.fill(curve(outline(
    [1, 1, 4, 7, 7, 5, 4], [0.1, 0.09, 0.13, 0.03, 0, 0.06, 0.04],
    [-0.1, 0.15, -0.03, -0.08, 0, 0.02, 0],
  )), shade);
  pen.fill(curve(outline(
    [6, 5, 5, 7, 5], [0, -0.08, 0.08, 0, 0], [-0.03, 0.03, 0.03, -0.03, -0.06],
  )), shade);
  for (const [wing, s] of [[6, 1], [7, -1]]) {
    const right = [0, -0.01 * s, 0.08 * s, 0.16 * s];
    const nostril = outline([wing, wing, wing, wing], right, [-0.09, 0, 0, 0.01]);
    pen.stroke(curve(nostril, false), 0.04 * unit, dark);
  }
}

/** @param {Pen} pen @param {FaceTraits} face */
function drawBeard(pen, face) {
  const { unit, landmarks, hair, brow, skin } = face;
  const [oval, nose, lips] = [OVAL, NOSE, LIPS].map((part) => part.map((n) => landmarks[n]));
  const left = shift(lips[0], -0.08 * unit, 0);
  const right = shift(lips[6], 0.08 * unit, 0);
  const inner = [between(oval[5], lips[6], 0.5), between(oval[13], lips[0], 0.5)];
  const cheeks = [...oval.slice(4, 15), inner[1], left, lips[9], right, inner[0]];
  const beside = [between(lips[1], oval[11], 0.5), between(lips[5], oval[7], 0.5)];
  const below = [between(lips[2], oval[10], 0.75), between(lips[4], oval[8], 0.75)];
  const chin = [left, beside[0], below[0], oval[9], below[1], beside[1], right, lips[9]];
  const over = [[6, 7], [5, 9], [7, 11]].map(([n, l]) => between(nose[n], lips[l], 0.5));
  const moustache = [left, ...over, right, ...[11, 10, 9, 8, 7].map((n) => lips[n])];
  const dark = hair ? mix(hair.colour, brow, 0.5) : brow;
  [cheeks, chin, moustache].forEach((outline, i) => {
    const strength = face.beard[i];
    if (strength > 0) pen.fill(curve(outline), mix(skin, dark, 0.85 * strength));
  });
}

/** Folds from nose to mouth, and lines below the eyes and, where those are deep, over them.
 * @param {Pen} pen @param {FaceTraits} face */
function drawAge(pen, face) {
  const { centre, landmarks, unit } = face;
  const [nose, lips] = [NOSE, LIPS].map((part) => part.map((n) => landmarks[n]));
  /** @type {Point[][]} */
  const lines = face.lines > 0.5
    ? [
      place(centre, unit, [[-0.5, -0.68], [0, -0.72], [0.5, -0.68]]),
      place(centre, unit, [[-0.4, -0.84], [0, -0.88], [0.4, -0.84]]),
    ]
    : [];
  [-1, 1].forEach((sign, i) => {
    const [wing, corner] = [nose[8 + i], lips[6 * i]];
    const fold = [wing, between(wing, corner, 0.5), corner];
    lines.push(fold.map((point, k) => shift(point, unit * sign * [0.03, 0.15, 0.14][k], 0)));
    lines.push(EYES[i].slice(1, 5).map((n) => shift(landmarks[n], 0, 0.13 * unit)));
  });
  const colour = mix(face.skin, DARK, 0.28 * face.lines);
  for (const line of lines) pen.stroke(curve(line, false), 0.035 * unit, colour);
}

/** @param {Pen} pen @param {FaceTraits} face */
function drawLips(pen, face) {
  const lips = LIPS.map((n) => face.landmarks[n]);
  for (const corner of [0, 6]) lips[corner] = shift(lips[corner], 0, -0.04 * face.unit); // friendly
  const lower = lips.slice(0, 7);
  const upper = [0, 7, 8, 9, 10, 11, 6].map((n) => lips[n]);
  const middle = upper.map((point, i) => between(point, lower[i], 0.45));
  const back = (/** @type {Point[]} */ line) => line.slice(1, -1).reverse();
  pen.fill(curve([...upper, ...back(lower)]), face.lips);
  pen.fill(curve([...upper, ...back(middle)]), mix(face.lips, DARK, 0.15));
  pen.stroke(curve(middle, false), 0.035 * face.unit, mix(face.lips, DARK, 0.5));
}

/** @param {Pen} pen @param {FaceTraits} face @param {Point[]} eye */
function drawEye(pen, face, eye) {
  const middle = middleOf(eye);
  const wide = eye.map(([x, y]) => /** @type {Point} */ ([
    middle[0] + 1.2 * (x - middle[0]), middle[1] + 1.8 * (y - middle[1]), // wide awake
  ]));
  const upper = curve([0, 7, 6, 5, 4].map((n) => wide[n]), false);
  const lower = curve(wide.slice(0, 5), false);
  pen.fill([...upper, ...lower.slice().reverse()], EYE_WHITE);
  const height =
    Math.max(...lower.map(([, y]) => y)) - Math.min(...upper.map(([, y]) => y));
  const lids = [upper, lower].map((lid) => lid.slice().sort((a, b) => a[0] - b[0]));
  /** @type {[number, number, Colour][]} */
  const discs = [[0.56, 0, face.iris], [0.28, 0, INK], [0.12, 0.17, WHITE]];
  for (const [radius, aside, colour] of discs) {
    const disc = ellipse(shift(middle, height * aside, -height * aside), height * radius,
      height * radius);
    const across = disc.map(([x]) => x);
    const [top, bottom] = lids.map((lid) =>
      interpolate(across, lid.map(([x]) => x), lid.map(([, y]) => y)));
    pen.fill(disc.map(([x, y], i) => [x, Math.min(Math.max(y, top[i]), bottom[i])]), colour);
  }
  pen.stroke(upper, 0.06 * face.unit, INK);
  const crease = upper.map(([x, y]) => /** @type {Point} */ ([
    x, middle[1] + 1.35 * (y - middle[1]) - 0.03 * face.unit,
  ]));
  pen.stroke(crease.slice(4, -4), 0.02 * face.unit, mix(face.skin, DARK, 0.3));
}

/** @param {Pen} pen @param {FaceTraits} face @param {Point[]} brow */
function drawBrow(pen, face, brow) {
  const line = curve(brow.map((point) => shift(point, 0, 0.07 * face.unit)), false);
  const thick = interpolate([...spread(0, 1, line.length)], [0, 0.3, 0.6, 0.93, 0.98, 1],
    [0.1, 0.75, 1, 0.9, 0.7, 0.3]);
  const width = (0.09 + 0.06 * face.heavyBrow) * face.unit;
  pen.stroke(line, thick.map((share) => width * share), face.brow);
}

/** @param {Point} centre @param {number} wide @param {number} high @returns {Point[]} */
const ellipse = (centre, wide, high) => RAYS.map(([x, y]) => shift(centre, wide * x, high * y));

/** Fills shapes given in fractions of the picture. */
class Pen {
  /** @param {number} side of the finished picture, in pixels */
  constructor(side) {
    this.side = side;
    this.sheet = new Sheet(side * clip(Math.floor(4096 / side), 2, 4));
  }

  /** @param {Point[]} points @param {Colour} colour */
  fill(points, colour) {
    const { side } = this.sheet;
    this.sheet.fill(points.map(([x, y]) => [
      ((x - 0.5) * ZOOM + 0.5) * side, (y * ZOOM + TOP) * side,
    ]), colour);
  }

  /** Along a line, as wide as given at each point, or `width` and thin at its ends.
   * @param {Point[]} line @param {number | number[]} width @param {Colour} colour */
  stroke(line, width, colour) {
    const turns = spread(0.15, Math.PI - 0.15, line.length);
    const aside = line.map((_, i) => {
      const [before, after] = [Math.max(i - 1, 0), Math.min(i + 1, line.length - 1)];
      const x = (line[after][0] - line[before][0]) / (after - before);
      const y = (line[after][1] - line[before][1]) / (after - before);
      const wide = typeof width === "number" ? width * Math.sin(turns[i]) : width[i];
      const by = wide / 2 / Math.hypot(x, y);
      return [-y * by, x * by];
    });
    const one = line.map((point, i) => shift(point, aside[i][0], aside[i][1]));
    const other = line.map((point, i) => shift(point, -aside[i][0], -aside[i][1]));
    this.fill([...one, ...other.reverse()], colour);
  }

  finish() {
    return this.sheet.finish(this.side);
  }
}

/** A smooth curve (Catmull-Rom) through points, ten points from each to the next.
 * @param {Point[]} points @returns {Point[]} */
function curve(points, closed = true) {
  const last = points[points.length - 1];
  const padded = closed
    ? [last, ...points, points[0], points[1]]
    : [points[0], ...points, last];
  /** @type {Point[]} */
  const line = [];
  for (let i = 0; i + 3 < padded.length; i++) {
    for (let step = 0; step < 10; step++) {
      const t = step / 10;
      const at = (/** @type {0 | 1} */ axis) => {
        const [a, b, c, d] = padded.slice(i, i + 4).map((point) => point[axis]);
        return b + (t * (c - a)) / 2 + t ** 2 * (a - 2.5 * b + 2 * c - d / 2) +
          t ** 3 * (1.5 * (b - c) + (d - a) / 2);
      };
      line.push([at(0), at(1)]);
    }
  }
  return closed ? line : [...line, last];
}

/** A symmetric line, from the left end: a right half that starts in the middle, x = 0.
 * @param {Point[]} half @returns {Point[]} */
const mirror = (half) => [
  ...half.slice(1).reverse().map(([x, y]) => /** @type {Point} */ ([-x, y])),
  ...half,
];
