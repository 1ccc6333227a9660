// An outside client, oauth4webapi, through everything that our authorization server offers a client of a person.
// Says on stdout where a person is needed, and goes on with what comes back on stdin.
import * as oauth from "oauth4webapi";
import { createInterface } from "node:readline/promises";

const issuer = new URL(process.argv[2]);
const redirect = "https://client.example/callback";
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (what) => console.log(JSON.stringify(what));
const hear = async () => (await lines.next()).value;

const answered = await oauth.discoveryRequest(issuer, { algorithm: "oauth2" });
const server = await oauth.processDiscoveryResponse(issuer, answered);

const registered = await oauth.processDynamicClientRegistrationResponse(
  await oauth.dynamicClientRegistrationRequest(server, { redirect_uris: [redirect], client_name: "oauth4webapi" }),
);
const client = { client_id: registered.client_id };
const none = oauth.None();
const DPoP = oauth.DPoP(client, await oauth.generateKeyPair(process.argv[3]));

// Once more with the server's nonce, which is how RFC 9449 section 8 wants it.
const again = async (work) => {
  try {
    return await work();
  } catch (problem) {
    if (!oauth.isDPoPNonceError(problem)) throw problem;
    return work();
  }
};

// --- code, PKCE, PAR
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const asking = new URLSearchParams({
  client_id: client.client_id,
  response_type: "code",
  redirect_uri: redirect,
  scope: "read",
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
});
const pushed = await again(async () =>
  oauth.processPushedAuthorizationResponse(
    server,
    client,
    await oauth.pushedAuthorizationRequest(server, client, none, asking, { DPoP }),
  ),
);
const go = new URL(server.authorization_endpoint);
go.searchParams.set("client_id", client.client_id);
go.searchParams.set("request_uri", pushed.request_uri);
say({ authorize: go.href });
const back = oauth.validateAuthResponse(server, client, new URL(await hear()), state);
const tokens = await again(async () =>
  oauth.processAuthorizationCodeResponse(
    server,
    client,
    await oauth.authorizationCodeGrantRequest(server, client, none, back, redirect, verifier, { DPoP }),
  ),
);

// --- a call with the token
const who = async (token) => {
  const url = new URL("/v1/whoami", issuer);
  const answer = await again(() => oauth.protectedResourceRequest(token, "GET", url, undefined, undefined, { DPoP }));
  return (await answer.json()).person;
};
const person = await who(tokens.access_token);

// --- refresh
const fresh = await again(async () =>
  oauth.processRefreshTokenResponse(
    server,
    client,
    await oauth.refreshTokenGrantRequest(server, client, none, tokens.refresh_token, { DPoP }),
  ),
);
const still = await who(fresh.access_token);

// --- device
const begun = await again(async () =>
  oauth.processDeviceAuthorizationResponse(
    server,
    client,
    await oauth.deviceAuthorizationRequest(server, client, none, new URLSearchParams({ scope: "read" })),
  ),
);

say({ code: begun.user_code });
await hear();
const device = await again(async () =>
  oauth.processDeviceCodeResponse(
    server,
    client,
    await oauth.deviceCodeGrantRequest(server, client, none, begun.device_code, { DPoP }),
  ),
);
const there = await who(device.access_token);

// --- revocation
await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, none, device.refresh_token));
let over = "";
try {
  await who(device.access_token);
} catch (problem) {
  over = problem.name;
}
say({ person, still, there, over, type: tokens.token_type });
process.exit(0);
