// What the pages do besides what they show. Nothing here decides, and nothing of others is ever written as markup,
// apart from pieces that our own server rendered.

const at = (id) => document.getElementById(id);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const token = () => document.querySelector('meta[name="token"]')?.content ?? "";

// --- times in the reader's zone; the exact UTC stays in the title

const FORMS = {
  day: { year: "numeric", month: "short", day: "numeric" },
  clock: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  full: { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" },
};

function left(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds >= 172800) return `${Math.floor(seconds / 86400)} d`;
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return seconds >= 60 ? `${Math.floor(seconds / 60)} min` : `${seconds} s`;
}

function tellTimes(within = document) {
  for (const time of all("time[datetime]", within)) {
    const when = new Date(time.dateTime);
    const said = when.toLocaleString(undefined, FORMS[time.dataset.form] ?? FORMS.full);
    if (time.textContent !== said) time.textContent = said;
  }
  for (const time of all("time[data-until]", within)) {
    const said = left(new Date(time.dataset.until) - Date.now());
    if (time.textContent !== said) time.textContent = said;
  }
}

sessionStorage.removeItem("opened");
tellTimes();
setInterval(tellTimes, 5000);
// A piece that was brought up to date tells its times as the server does.
new MutationObserver(() => tellTimes()).observe(document.body, { childList: true, characterData: true, subtree: true });

// --- news: one stream a browser; the pieces that htmx keeps up to date ask again
// A browser opens six connections to a server at most: with a stream a page, the seventh tab would not open. The page
// that holds the lock listens, and tells the others; when it goes, the next one has the lock.

let stopListening = null;
let leaving = false;
function listen() {
  leaving = false;
  if (!document.body.hasAttribute("data-news") || !document.querySelector("[hx-trigger]")) return;
  const others = new BroadcastChannel("news");
  const stopping = new AbortController();
  const asked = performance.now();
  let stream = null;
  stopListening = () => [stream, others, { close: () => stopping.abort() }].forEach((one) => one?.close());
  const hear = (what) => (what === "over" ? location.reload() : tell());
  const tellAll = (what) => [others.postMessage(what), hear(what)];
  others.addEventListener("message", (message) => hear(message.data));
  const hold = () => {
    // What happened while nobody listened is looked for: after the page before this one went, and after a break.
    let missed = performance.now() - asked > 500;
    stream = new EventSource("/news");
    stream.addEventListener("open", () => (missed ? tellAll("news") : (missed = true)));
    for (const what of ["news", "over"]) stream.addEventListener(what, () => tellAll(what));
    return new Promise((_, end) => stopping.signal.addEventListener("abort", end));
  };
  navigator.locks.request("news", { signal: stopping.signal }, hold).catch(() => {});
}
listen();
addEventListener("pagehide", () => stopListening?.());
addEventListener("pageshow", (event) => event.persisted && listen());

// Nothing moves under a hand: while a pointer is pressed, or on its way to where somebody saw something, the page stays
// as it is, and is brought up to date as soon as the hand is still.
const STILL_MS = 600;
let moved = -STILL_MS;
let pressed = false;
let untold = 0;
const aims = () => pressed || performance.now() - moved < STILL_MS;
function tell() {
  clearTimeout(untold);
  if (aims()) untold = setTimeout(tell, STILL_MS);
  else document.body.dispatchEvent(new CustomEvent("news"));
}
addEventListener("pointermove", (event) => (event.movementX || event.movementY) && (moved = performance.now()), true);
addEventListener("pointerdown", () => (pressed = true), true);
for (const over of ["pointerup", "pointercancel", "dragend", "blur"]) {
  addEventListener(over, () => {
    if (pressed) moved = performance.now();
    pressed = false;
  }, true);
}
document.addEventListener("htmx:before:response", (event) => {
  // Asked before the hand came, answered after: it is asked again. What somebody pressed for comes at once.
  if (!aims() || event.detail.ctx.sourceEvent?.type !== "news") return;
  event.preventDefault();
  tell();
});

// A page that is being left asks for nothing more, and hears nothing more: a proof of presence gives the session a new
// number, and a piece that was asked for with the old one would lead away from what the form is answered with.
function leave() {
  leaving = true;
  stopListening?.();
}
document.addEventListener("htmx:before:request", (event) => leaving && event.preventDefault());
document.addEventListener("htmx:before:response", (event) => {
  const { sourceElement: piece, response } = event.detail.ctx;
  if (leaving) return event.preventDefault();
  if (response.status !== 401) return delete piece.dataset.asked;
  // The new number may have come to another tab while this was under way. It is asked once more, so that nobody is led
  // away from what they type.
  if (piece.dataset.asked || !piece.hasAttribute("hx-get")) return;
  event.preventDefault();
  piece.dataset.asked = "1";
  htmx.ajax("GET", piece.getAttribute("hx-get"), { source: piece });
});

// --- theme

const themeButton = at("theme");
if (themeButton) {
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  });
}

// On a phone the pages' names go beyond the edge: the one that is open is in sight.
const here = document.querySelector(".top nav [aria-current]");
function showHere() {
  const nav = here.closest("nav");
  nav.scrollLeft = here.offsetLeft - nav.offsetLeft - (nav.clientWidth - here.clientWidth) / 2;
}
if (here) showHere();
if (here) addEventListener("resize", showHere);

// --- keyboard

const help = at("help");
if (at("help-open")) {
  at("help-open").hidden = false;
  at("help-open").addEventListener("click", () => help.showModal());
}
const PLACES = { h: "/", a: "/ask", d: "/decide", l: "/live", r: "/recordings", p: "/people", u: "/duties", y: "/policy", e: "/ledger", n: "/notices" };
let going = false;

function step(by) {
  const links = all("[data-list] a.grow, [data-list] .row-link a:first-child");
  if (!links.length) return;
  const now = links.indexOf(document.activeElement);
  const current = now >= 0 ? now : links.findIndex((link) => link.getAttribute("aria-current"));
  links[Math.min(links.length - 1, Math.max(0, current < 0 && by > 0 ? 0 : current + by))].focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog, .xterm")) return;
  if (going && PLACES[event.key]) return location.assign(PLACES[event.key]);
  going = event.key === "g";
  const acts = {
    j: () => step(1),
    k: () => step(-1),
    a: () => at("approve")?.querySelector("input:not([type=hidden]), button")?.focus(),
    d: () => at("no-reason")?.focus(),
    "/": () => document.querySelector("[data-search]")?.focus(),
    "?": () => help?.showModal(),
  };
  if (acts[event.key]) {
    event.preventDefault();
    acts[event.key]();
  }
});

// --- forms: a choice that changes the page; nothing is sent twice

for (const choice of all("[data-goes]")) {
  choice.addEventListener("change", () => location.assign(choice.dataset.goes));
}
document.addEventListener("submit", (event) => {
  // A passkey is to sign first; what htmx sends leaves no page.
  if (event.target.matches("form[data-passkey]") || event.defaultPrevented) return;
  if (event.target.dataset.sent) return event.preventDefault();
  if (event.target.method !== "post") return;
  event.target.dataset.sent = "1";
  leave();
});
addEventListener("pageshow", () => all("form[data-sent]").forEach((form) => delete form.dataset.sent));
for (const shown of all("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(shown.textContent);
    button.textContent = "Copied";
  });
  shown.after(button);
}

// --- approving with a passkey: it signs a challenge made of the digest of what the page shows

const encode = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

async function send(path, fields) {
  const body = new URLSearchParams(fields);
  const headers = { "X-Form-Token": token(), Accept: "application/json" };
  const answered = await fetch(path, { method: "POST", body, headers });
  if (!answered.ok) {
    const said = await answered.json();
    throw new Error(`${said.error.sentence} ${said.error.remedy}`);
  }
  return answered;
}

function complain(form, problem) {
  let notice = form.querySelector(".notice");
  if (!notice) {
    notice = document.createElement("p");
    notice.className = "notice no";
    notice.setAttribute("role", "alert");
    form.append(notice);
  }
  notice.textContent = problem.name === "NotAllowedError" ? "The passkey did not answer. Try again." : problem.message;
}

function hidden(form, name, value) {
  const field = form.querySelector(`input[name="${name}"]`) ?? document.createElement("input");
  Object.assign(field, { type: "hidden", name, value });
  form.append(field);
}

document.addEventListener("submit", async (event) => {
  const signing = event.target.closest("form[data-passkey]");
  if (!signing) return;
  event.preventDefault();
  try {
    const digest = signing.querySelector('input[name="digest"]').value;
    const begun = await (await send(signing.dataset.passkey, { digest })).json();
    const options = { ...begun.options, challenge: decode(begun.options.challenge) };
    options.allowCredentials = options.allowCredentials?.map((one) => ({ ...one, id: decode(one.id) }));
    const touched = await navigator.credentials.get({ publicKey: options });
    const response = { clientDataJSON: encode(touched.response.clientDataJSON) };
    for (const part of ["authenticatorData", "signature", "userHandle"]) {
      if (touched.response[part]) response[part] = encode(touched.response[part]);
    }
    const credential = { id: touched.id, rawId: encode(touched.rawId), type: touched.type, response };
    hidden(signing, "ceremony", begun.id);
    hidden(signing, "credential", JSON.stringify(credential));
    leave();
    signing.submit();
  } catch (problem) {
    complain(signing, problem);
  }
});

// --- watching a live session: pieces of the page, as our server renders them, one after another

document.addEventListener("click", async (event) => {
  const watching = event.target.closest("#watch");
  if (!watching) return;
  watching.hidden = true;
  const state = at("watch-state");
  state.textContent = "Watching.";
  try {
    const reader = (await send(watching.dataset.watch, {})).body.pipeThrough(new TextDecoderStream()).getReader();
    let waiting = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const pieces = (waiting + value).split("\x1e");
      waiting = pieces.pop();
      const records = at("records");
      const follows = records.scrollTop + records.clientHeight >= records.scrollHeight - 40;
      for (const piece of pieces) records.insertAdjacentHTML("beforeend", piece);
      if (follows) records.scrollTop = records.scrollHeight;
    }
    state.textContent = "The session is over, or may no longer be watched.";
  } catch (problem) {
    state.textContent = problem.message;
  }
});

// What needs this script is there from now on: a press before it would do nothing, or something else.
document.documentElement.classList.add("ready");
