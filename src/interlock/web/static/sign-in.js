// The browser signs every call with a key of its own (DPoP, RFC 9449). The key cannot be read out, by this page neither.

const at = (id) => document.getElementById(id);
const encode = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
const words = (value) => new TextEncoder().encode(value);

let nonce = "";

function kept() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("interlock", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("kept");
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

async function keep(name, value) {
  const store = (await kept()).transaction("kept", "readwrite").objectStore("kept");
  const writing = value === null ? store.delete(name) : store.put(value, name);
  return new Promise((resolve, reject) => {
    writing.onsuccess = resolve;
    writing.onerror = () => reject(writing.error);
  });
}

async function recall(name) {
  const reading = (await kept()).transaction("kept").objectStore("kept").get(name);
  return new Promise((resolve, reject) => {
    reading.onsuccess = () => resolve(reading.result);
    reading.onerror = () => reject(reading.error);
  });
}

async function key() {
  const known = await recall("key");
  if (known) return known;
  const made = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  await keep("key", made);
  return made;
}

async function proof(method, url, token) {
  const pair = await key();
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } };
  const claims = {
    jti: encode(crypto.getRandomValues(new Uint8Array(16))),
    htm: method,
    htu: url,
    iat: Math.floor(Date.now() / 1000),
  };
  if (nonce) claims.nonce = nonce;
  if (token) claims.ath = encode(await crypto.subtle.digest("SHA-256", words(token)));
  const text = `${encode(words(JSON.stringify(header)))}.${encode(words(JSON.stringify(claims)))}`;
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, words(text));
  return `${text}.${encode(signature)}`;
}

export async function call(method, path, body, credentials = "omit") {
  const url = location.origin + path;
  const login = await recall("login");
  const send = async () => {
    const headers = { DPoP: await proof(method, url, login?.token) };
    if (login) headers.Authorization = `DPoP ${login.token}`;
    if (body) headers["Content-Type"] = "application/json";
    const answered = await fetch(url, { method, headers, body: body && JSON.stringify(body), credentials });
    nonce = answered.headers.get("dpop-nonce") ?? nonce;
    return answered;
  };
  let answered = await send();
  if (answered.status === 401 && answered.headers.get("www-authenticate")?.includes("use_dpop_nonce")) {
    answered = await send();
  }
  const said = await answered.json();
  if (answered.ok) return said;
  if (answered.status === 401) await keep("login", null);
  const problem = new Error(`${said.error.sentence} ${said.error.remedy.replace("Type `interlock login`", "Sign in again")}`);
  problem.code = said.error.code;
  throw problem;
}

function show(id) {
  const parts = ["sign-in", "first", "device", "invitation", "arrived", "consent", "approve", "account", "done"];
  for (const part of parts) at(part).hidden = part !== id;
}

function told(sentence) {
  at("done").textContent = sentence;
  show("done");
}

async function attempt(work) {
  at("problem").textContent = "";
  try {
    await work();
  } catch (problem) {
    at("problem").textContent = problem.message;
    if (!(await recall("login")) && !invited && at("first").hidden) show("sign-in");
  }
}

// --- an invitation: its code stands behind the #, which no browser sends; the first key that shows it is bound to it

const invited = location.pathname === "/invitation" ? location.hash.slice(1) : "";
const EVERY_MS = 3000;

async function lookAtInvitation() {
  await keep("login", null);
  const said = await call("POST", "/v1/arrivals/look", { code: invited });
  at("invited").textContent = said.person;
  at("invited-vendor").textContent = said.vendor;
  at("invited-contract").textContent = said.contract;
  at("inviter").textContent = said.invited_by;
  at("invited-sponsor").textContent = said.sponsor;
  at("words").textContent = said.words;
  at("to-confirm").hidden = said.confirmed;
  at("to-come").hidden = !said.confirmed || !said.with_password;
  if (said.confirmed && !said.with_password) return told(`You are confirmed, ${said.person}. Sign in at /sign-in.`);
  show("invitation");
  if (!said.confirmed) setTimeout(() => attempt(lookAtInvitation), EVERY_MS);
}

async function comeIn() {
  const said = await call("POST", "/v1/arrivals", { code: invited, password: at("new-password").value });
  at("new-password").value = "";
  history.replaceState(null, "", "/sign-in");
  arrived(said);
}

function arrived(said) {
  at("new-secret").textContent = said.totp_secret;
  at("new-uri").href = said.totp_uri;
  show("arrived");
}

// --- the first time: a code that the operator of the server's machine made, or those who let somebody in again

async function comeInWithCode() {
  const [person, code] = ["first-person", "first-code"].map((id) => at(id).value.trim());
  const password = at("first-password").value;
  const said = await call("POST", "/v1/enrol", { person, code, password });
  at("first-code").value = at("first-password").value = "";
  at("person").value = person;
  arrived(said);
}

// --- signing in

async function signedIn(answer) {
  await keep("login", { token: answer.token, person: answer.person });
  at("password").value = at("totp").value = "";
  await next();
}

async function withPassword() {
  const body = { person: at("person").value, password: at("password").value };
  const totp = at("totp").value.replaceAll(" ", "");
  await keep("login", null);
  await signedIn(await call("POST", "/v1/sign-in", totp ? { ...body, totp } : body));
}

export function given(options) {
  const known = (list) => list?.map((one) => ({ ...one, id: decode(one.id) }));
  const made = { ...options, challenge: decode(options.challenge) };
  if (options.user) made.user = { ...options.user, id: decode(options.user.id) };
  if (options.allowCredentials) made.allowCredentials = known(options.allowCredentials);
  if (options.excludeCredentials) made.excludeCredentials = known(options.excludeCredentials);
  return made;
}

export function plain(credential) {
  const response = { clientDataJSON: encode(credential.response.clientDataJSON) };
  for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[part]) response[part] = encode(credential.response[part]);
  }
  return { id: credential.id, rawId: encode(credential.rawId), type: credential.type, response };
}

async function withPasskey() {
  await keep("login", null);
  const begun = await call("POST", "/v1/passkeys/sign-in/begin");
  const credential = await navigator.credentials.get({ publicKey: given(begun.options) });
  await signedIn(await call("POST", "/v1/passkeys/sign-in", { ceremony: begun.id, credential: plain(credential) }));
}

async function addPasskey() {
  const begun = await call("POST", "/v1/passkeys/begin");
  const credential = await navigator.credentials.create({ publicKey: given(begun.options) });
  const name = navigator.userAgentData?.platform || "passkey";
  await call("POST", "/v1/passkeys", { ceremony: begun.id, credential: plain(credential), name });
  await account();
}

async function account() {
  const me = await call("GET", "/v1/whoami");
  at("me").textContent = me.person;
  const passkeys = await call("GET", "/v1/passkeys");
  at("passkeys").replaceChildren(
    ...passkeys.map((one) => {
      const line = document.createElement("li");
      line.textContent = `${one.name}, added ${new Date(one.added_at).toLocaleString()}`;
      return line;
    }),
  );
  show("account");
}

async function signOut() {
  await call("POST", "/v1/sign-out");
  await keep("login", null);
  await next();
}

async function elsewhere(provider) {
  await keep("login", null);
  sessionStorage.setItem("back", location.pathname + location.search);
  location.assign((await call("POST", `/v1/providers/${encodeURIComponent(provider)}/begin`)).redirect);
}

async function showProviders() {
  const names = await call("GET", "/v1/providers");
  at("providers").replaceChildren(
    ...names.map((name) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `Sign in with ${name}`;
      button.addEventListener("click", () => attempt(() => elsewhere(name)));
      return button;
    }),
  );
}

// What a provider sent us back with. The key that asked is the one that answers.
async function finish(fields) {
  const body = { state: fields.get("state"), code: fields.get("code") ?? "" };
  if (fields.get("iss")) body.iss = fields.get("iss");
  history.replaceState(null, "", "/sign-in");
  if (!body.code) throw new Error("The identity provider did not sign you in.");
  const answer = await call("POST", "/v1/providers/answer", body);
  await keep("login", { token: answer.token, person: answer.person });
  const back = sessionStorage.getItem("back");
  sessionStorage.removeItem("back");
  if (ourPage(back ?? "")) location.replace(ourPage(back));
  else await next();
}

// --- what a client asks

let asked = new URLSearchParams(location.search).get("request") ?? "";

async function look() {
  const said = await call("POST", "/v1/consents/look", { request: asked });
  at("client").textContent = said.client;
  at("scopes").replaceChildren(
    ...said.scopes.map((scope) => {
      const line = document.createElement("li");
      line.textContent = scope;
      return line;
    }),
  );
  at("who").textContent = said.person;
  at("until").textContent = new Date(said.until).toLocaleString();
  at("known").textContent = said.known_by === "own" ? "as Interlock's own" : `by ${said.known_by}`;
  at("goes").textContent = said.answer_goes_to;
  at("from").textContent = said.from_address;
  show("consent");
}

async function answer(allow) {
  const said = await call("POST", "/v1/consents", { request: asked, allow });
  if (said.redirect) location.replace(said.redirect);
  else told(allow ? "It is done. Go back to the other device." : "It was not allowed.");
}

// --- approving: the passkey signs the digest of what is shown, and nothing else

const approving = new URLSearchParams(location.search).get("approve") ?? "";
let shown;

async function lookAtRequest() {
  shown = await call("GET", `/v1/requests/${encodeURIComponent(approving)}`);
  at("asker").textContent = shown.person;
  at("asked-role").textContent = shown.role;
  at("asked-resource").textContent = shown.resource;
  at("asked-reason").textContent = shown.reason;
  at("asked-content").textContent = JSON.stringify(shown.content, null, 2);
  at("asked-missing").textContent = shown.state === "open" ? `${shown.missing} more needed.` : `It is ${shown.state}.`;
  at("approve-it").disabled = !shown.may_decide;
  show("approve");
}

async function approve() {
  const begun = await call("POST", "/v1/passkeys/presence/begin", { digest: shown.digest });
  const credential = await navigator.credentials.get({ publicKey: given(begun.options) });
  const passkey = { ceremony: begun.id, credential: plain(credential) };
  await call("POST", `/v1/requests/${encodeURIComponent(approving)}/approve`, { digest: shown.digest, passkey });
  told("Your approval is given. You may close this page.");
}

// --- the console: a session in a cookie, for the login whose key signs this very call

const wanted = new URLSearchParams(location.search).get("next") ?? "";

// The address as the browser itself will read it (it drops tabs and line breaks, and takes a backslash for a slash), if
// that is a page of ours; else null.
function ourPage(path) {
  if (!path.startsWith("/") || !URL.canParse(path, location.origin)) return null;
  const read = new URL(path, location.origin);
  return read.origin === location.origin ? read.href : null;
}

async function openConsole() {
  const again = Date.now() - Number(sessionStorage.getItem("opened") ?? 0) < 3000;
  sessionStorage.setItem("opened", Date.now());
  if (again) throw new Error("The console needs its cookie, and this browser does not keep it.");
  await call("POST", "/console/session", undefined, "same-origin");
  location.replace(ourPage(wanted) ?? "/");
}

async function start() {
  const fields = new URLSearchParams(location.search);
  if (fields.get("left")) await keep("login", null);
  if (location.pathname === "/sign-in" && fields.get("state")) return finish(fields);
  if (invited) return lookAtInvitation();
  await next();
  return showProviders();
}

async function next() {
  if (!(await recall("login"))) return show("sign-in");
  if (approving) return lookAtRequest();
  if (asked) return look();
  if (location.pathname === "/device") return show("device");
  if (wanted) return openConsole();
  return account();
}

const press = (id, work) => at(id).addEventListener("click", () => attempt(work));
at("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(withPassword);
});
at("device").addEventListener("submit", (event) => {
  event.preventDefault();
  asked = at("code").value;
  attempt(look);
});
at("invitation").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(comeIn);
});
at("first").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(comeInWithCode);
});
press("with-code", () => show("first"));
press("known", () => show("sign-in"));
press("with-passkey", withPasskey);
press("add-passkey", addPasskey);
press("sign-out", signOut);
press("to-console", openConsole);
press("approve-it", approve);
press("allow", () => answer(true));
press("refuse", () => answer(false));
at("code").value = new URLSearchParams(location.search).get("code") ?? "";
attempt(start);
