// Plays a recording's records as they came: those that are still to come are faint, the newest is marked.

const at = (id) => document.getElementById(id);
const records = [...document.querySelectorAll("#records > li")];
const starts = records.map((record) => Number(record.dataset.after));
let playing = 0;

function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function show(number) {
  records.forEach((record, place) => {
    record.classList.toggle("to-come", place > number);
    record.classList.toggle("now", place === number);
  });
  records[number]?.scrollIntoView({ block: "nearest" });
  at("clock").textContent = number >= 0 ? `${clock(starts[number])} of ${clock(starts.at(-1) ?? 0)}` : "";
}

function stop() {
  clearTimeout(playing);
  playing = 0;
  at("play").textContent = "Play";
  records.forEach((record) => record.classList.remove("to-come"));
}

function next(number) {
  show(number);
  if (number + 1 >= records.length) return stop();
  const pause = starts[number + 1] - starts[number];
  const waits = at("skip").checked ? Math.min(pause, 2) : pause;
  playing = setTimeout(next, (1000 * waits) / Number(at("speed").value), number + 1);
}

if (records.length) {
  at("player").hidden = false;
  at("play").addEventListener("click", () => {
    if (playing) return stop();
    at("play").textContent = "Stop";
    const from = records.findIndex((record) => record.classList.contains("now"));
    next(from < 0 || from === records.length - 1 ? 0 : from);
  });
  const wanted = Number(new URLSearchParams(location.search).get("at") ?? -1);
  if (wanted >= 0) show(starts.findLastIndex((start) => start <= wanted + 0.001));
  records.forEach((record) => record.classList.remove("to-come"));
}
