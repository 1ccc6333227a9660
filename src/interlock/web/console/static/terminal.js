// Terminals: a recorded one is played, a live one is followed. What they hold is written to a terminal emulator and
// never into the page.

const at = (id) => document.getElementById(id);
const token = document.querySelector('meta[name="token"]')?.content ?? "";

async function post(path) {
  const headers = { "X-Form-Token": token, Accept: "application/json" };
  const answer = await fetch(path, { method: "POST", headers, body: new URLSearchParams() });
  if (!answer.ok) throw new Error((await answer.json()).error?.sentence ?? "This cannot be shown.");
  return answer;
}

// --- a recorded one

const recorded = at("cast");

function play(data, startAt, run) {
  recorded.replaceChildren();
  const player = AsciinemaPlayer.create({ data }, recorded, {
    speed: Number(at("cast-speed").value),
    idleTimeLimit: at("cast-skip").checked ? 2 : undefined,
    startAt,
    poster: startAt ? `npt:${startAt}` : undefined,
    autoPlay: run,
    fit: "width",
    preload: true,
    terminalFontFamily: "ui-monospace, monospace",
  });
  return player;
}

async function openRecorded() {
  try {
    const data = await (await post(recorded.dataset.cast)).text();
    const wanted = Number(new URLSearchParams(location.search).get("at") ?? 0);
    let player = play(data, wanted, false);
    at("cast-tools").hidden = false;
    const again = () => {
      const now = player.getCurrentTime();
      player.dispose();
      player = play(data, now, true);
    };
    at("cast-speed").addEventListener("change", again);
    at("cast-skip").addEventListener("change", again);
    at("cast-link").addEventListener("click", async () => {
      const moment = new URL(location.pathname, location.origin);
      moment.searchParams.set("at", (await player.getCurrentTime()).toFixed(1));
      history.replaceState(null, "", moment);
      at("cast-said").textContent = `${moment}`;
    });
  } catch (problem) {
    at("cast-said").textContent = problem.message;
  }
}

if (recorded) openRecorded();

// --- a live one, to look at

const joining = at("join");
if (joining) joining.hidden = false;
joining?.addEventListener("click", async () => {
  joining.hidden = true;
  const said = at("join-state");
  const screen = new Terminal({ disableStdin: true, convertEol: false, scrollback: 2000 });
  screen.open(at("joined"));
  try {
    const reader = (await post(joining.dataset.join)).body.pipeThrough(new TextDecoderStream()).getReader();
    said.textContent = "You look on. The person was told.";
    let waiting = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (waiting + value).split("\n");
      waiting = lines.pop();
      for (const line of lines) {
        const record = JSON.parse(line);
        if (record.type === "resize") screen.resize(record.columns, record.rows);
        else if (record.type === "output") screen.write(record.text);
      }
    }
    said.textContent = "The session is over, or may no longer be watched.";
  } catch (problem) {
    said.textContent = problem.message;
  }
});

// --- one of one's own

const own = at("terminal");
const KEYS = { "Ctrl-C": "\x03", "Ctrl-D": "\x04", Esc: "\x1b", Tab: "\t", "↑": "\x1b[A", "↓": "\x1b[B" };

function openOwn() {
  const screen = new Terminal({ cursorBlink: true, scrollback: 5000, screenReaderMode: true });
  const fit = new FitAddon.FitAddon();
  screen.loadAddon(fit);
  screen.open(own);
  fit.fit();
  const socket = new WebSocket(`wss://${location.host}${own.dataset.socket}`);
  socket.binaryType = "arraybuffer";
  const size = () => ({ columns: screen.cols, rows: screen.rows });
  const bytes = new TextEncoder();
  // What is typed before the line is open is sent when it is.
  const early = [];
  socket.addEventListener("open", () => {
    socket.send(JSON.stringify({ token, presence: own.dataset.presence, ...size() }));
    early.splice(0).forEach(send);
  });
  socket.addEventListener("message", (message) => screen.write(new Uint8Array(message.data)));
  socket.addEventListener("close", () => {
    at("terminal-said").textContent = "This terminal is over. Open the page again for a new one.";
    screen.options.disableStdin = true;
    at("terminal-keys").hidden = true;
  });
  // A long paste goes in pieces that the server takes.
  function send(payload) {
    if (socket.readyState === WebSocket.CONNECTING) early.push(payload);
    if (socket.readyState !== WebSocket.OPEN) return;
    for (let from = 0; from < payload.length; from += 16384) socket.send(payload.slice(from, from + 16384));
  }
  screen.onData((text) => send(bytes.encode(text)));
  screen.onBinary((text) => send(Uint8Array.from(text, (one) => one.charCodeAt(0))));
  screen.onResize(() => socket.readyState === 1 && socket.send(JSON.stringify(size())));
  at("terminal-keys").hidden = false;
  for (const button of at("terminal-keys").querySelectorAll("button")) {
    // The keyboard of a phone stays: the terminal keeps the focus.
    button.addEventListener("pointerdown", (event) => event.preventDefault());
    button.addEventListener("click", () => screen.input(KEYS[button.dataset.key]));
  }
  addEventListener("resize", () => fit.fit());
  screen.focus();
}

if (own) openOwn();
