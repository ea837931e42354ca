// Voices that can be chosen. Languages are spoken by Kokoro where its weights are installed, by espeak-ng otherwise.

const LANGUAGES = ["en-us", "en-gb", "de", "es", "fr", "it", "pt-br", "nl", "pl", "sv", "tr", "uk", "hi", "cmn", "ja"];
const ESPEAK_NAMES = { cmn: "zh" };
const KOKORO = [
  ["af_heart", "Heart (American, woman)"],
  ["af_bella", "Bella (American, woman)"],
  ["am_michael", "Michael (American, man)"],
  ["bf_emma", "Emma (British, woman)"],
  ["bm_george", "George (British, man)"],
];

const names = new Intl.DisplayNames(["en"], { type: "language" });
const languageName = (code) => names.of(ESPEAK_NAMES[code] ?? code);

export const VOICES = [
  ["Languages", LANGUAGES.map((code) => [code, languageName(code)])],
  ["Kokoro, where it is installed", KOKORO],
];
