// Who speaks in a recording: where several do, the reader chooses whose face is drawn.

import { colourOf } from "./waveform.js";

export const LONGEST = "longest"; // who speaks most: what is drawn before anybody chooses

const find = (id) => document.getElementById(id);
const list = find("speaker-list");
let offered = "";

/** Offer the `speakers` of an answer, of whom `chosen` is drawn; nobody where fewer than two speak. */
export function offerSpeakers(speakers, chosen = LONGEST) {
  const several = speakers.length > 1;
  const facts = JSON.stringify(several ? speakers : []);
  if (facts !== offered) { // else whoever has the focus keeps it
    offered = facts;
    list.replaceChildren(...(several ? speakers.map(option) : []));
  }
  find("speakers-words").textContent = `${speakers.length} people speak. Whose face?`;
  find("speakers").hidden = !several;
  for (const radio of list.querySelectorAll("input")) radio.checked = radio.value === chosen;
}

/** As the server's parameter. */
export function readSpeaker() {
  return list.querySelector("input:checked")?.value ?? LONGEST;
}

function option({ number, speech_seconds: seconds }) {
  const label = document.createElement("label");
  const radio = document.createElement("input");
  radio.type = "radio";
  radio.name = "speaker";
  radio.autocomplete = "off";
  radio.value = number === 1 ? LONGEST : number;
  const badge = document.createElement("span");
  badge.className = "badge";
  badge.textContent = number;
  badge.setAttribute("aria-hidden", "true");
  const name = document.createElement("span");
  name.className = "speaker-name";
  name.textContent = `Speaker ${number}, `;
  label.style.setProperty("--colour", `var(${colourOf(number)})`);
  label.append(radio, badge, name, `${seconds.toFixed(1)} s`);
  return label;
}
