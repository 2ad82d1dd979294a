// How the face is drawn, and whose: what the reader chose.

import { readSpeaker } from "./speakers.js";

const REPEAT_MS = 250; // in which one choice after another counts as one

const find = (id) => document.getElementById(id);
const cartoon = find("cartoon");
const strength = find("strength");
const hair = find("hair");
const speakers = find("speakers");
const all = [cartoon, strength, hair, speakers];
const stepped = [strength, speakers]; // by a key that is held down
let pause = 0;

/** As the server's parameters. */
export function readChoices() {
  const style = cartoon.checked ? "cartoon" : "plain";
  return { style, strength: strength.value, hair: hair.value, speaker: readSpeaker() };
}

/** Of the speaker `offerSpeakers` tells. */
export function putChoices(choices) {
  cartoon.checked = choices.style === "cartoon";
  strength.value = choices.strength;
  hair.value = choices.hair;
  nameStrength();
}

export function allowChoices(allowed) {
  for (const one of all) one.disabled = !allowed;
}

/** As many shapes of hair as the model has, none where it has no choice. */
export function offerHair(shapes) {
  for (let shape = 1; shape <= shapes; shape++) hair.add(new Option(`Shape ${shape}`, shape));
  find("hair-choice").hidden = shapes === 0;
}

/** `act` is called once the reader has chosen. Until then `forgetChoice` stops it. */
export function onChoice(act) {
  for (const one of all) {
    one.addEventListener("change", () => {
      forgetChoice();
      pause = setTimeout(act, stepped.includes(one) ? REPEAT_MS : 0);
    });
  }
}

export const forgetChoice = () => clearTimeout(pause);

/** The slider's place in words, for whoever does not see it. */
function nameStrength() {
  const far = Number(strength.value);
  const words = { 0: "average", 1: "typical", 1.5: "strong" };
  const between = far < 1 ? "between average and typical" : "between typical and strong";
  strength.setAttribute("aria-valuetext", words[far] ?? `${far}, ${between}`);
}

strength.addEventListener("input", nameStrength);
nameStrength();
