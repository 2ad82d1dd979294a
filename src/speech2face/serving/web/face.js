// The face, the faces it might as well be, and what is said of them.

const FADE_MS = 450;
const EMPTY = "The face appears here";
const NOTICE = "A drawing, nobody’s portrait";
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const find = (id) => document.getElementById(id);
let downloadable;

/** Show a face as it sharpens: {image} of the server. */
export function showLiveFace({ image }) {
  fadeIn(image);
  tell(null, []);
}

/** Show a whole answer: the face, its samples, its warnings, its download. */
export function showFace({ image, samples, confidence, warnings, speakers, speaker }) {
  const several = speakers.length > 1;
  fadeIn(image, several ? speaker : null);
  tell(confidence, warnings);
  find("samples").replaceChildren(...samples.map((sample, index) => {
    const item = document.createElement("li");
    item.append(picture(sample, `Face ${index + 1} that the voice may go with as well`));
    return item;
  }));
  find("open").hidden = samples.length === 0;
  URL.revokeObjectURL(downloadable);
  downloadable = URL.createObjectURL(png(image));
  find("download").href = downloadable;
  find("download").download = `speech2face${several ? `.speaker${speaker}` : ""}.png`;
  find("download").hidden = false;
}

/** No face: the empty plate. */
export function showNoFace() {
  find("plate").querySelectorAll("img").forEach((image) => image.remove());
  find("caption").textContent = EMPTY;
  tell(null, []);
  find("open").hidden = true;
  find("download").hidden = true;
}

function tell(confidence, warnings) {
  find("confidence").hidden = !confidence;
  find("confidence-words").textContent = confidence?.words ?? "";
  find("confidence-notes").textContent = confidence?.notes.join(" ") ?? "";
  find("warnings").replaceChildren(...warnings.map((warning) => {
    const item = document.createElement("li");
    item.textContent = warning.charAt(0).toUpperCase() + warning.slice(1);
    return item;
  }));
  find("warnings").hidden = warnings.length === 0;
}

/**
 * Lay a picture over the one before, which goes once it is covered. `speaker` is the number of whose
 * face it is, where several speak.
 */
async function fadeIn(base64, speaker = null) {
  const plate = find("plate");
  const before = [...plate.querySelectorAll("img")];
  const voice = speaker ? `the voice of speaker ${speaker}` : "this voice";
  const image = picture(base64, `The face that ${voice} suggests, nobody’s portrait`);
  plate.append(image);
  find("caption").textContent = speaker ? `Speaker ${speaker}. ${NOTICE}` : NOTICE;
  if (!calm.matches) {
    await image.animate({ opacity: [0, 1] }, FADE_MS).finished.catch(() => {});
  }
  before.forEach((old) => old.remove());
}

function picture(base64, description) {
  const image = document.createElement("img");
  image.src = `data:image/png;base64,${base64}`;
  image.alt = description;
  return image;
}

/** The server's bytes as they are: their metadata carry the notice. */
function png(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}
