// An outside identity provider: npm's oidc-provider, over TLS, with one client. Accounts are what the tests say they are.
import { createServer } from "node:https";
import { readFileSync } from "node:fs";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import Provider from "oidc-provider";

const { privateKey } = await generateKeyPair("RS256", { extractable: true });
const jwk = { ...(await exportJWK(privateKey)), kid: "tests", alg: "RS256", use: "sig" };

const [, , key, certificate, redirect] = process.argv;
const accounts = new Map();
const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) });
server.listen(0, "127.0.0.1", () => {
  const issuer = `https://localhost:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: { keys: [jwk] },
    clients: [
      {
        client_id: "interlock",
        client_secret: "a secret of the tests",
        redirect_uris: [redirect],
        token_endpoint_auth_method: "client_secret_post",
        response_types: ["code"],
        grant_types: ["authorization_code"],
      },
    ],
    cookies: { keys: ["tests"] },
    claims: { openid: ["sub", "amr"], email: ["email", "email_verified"], profile: ["preferred_username"] },
    conformIdTokenClaims: false,
    features: { devInteractions: { enabled: false } },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...accounts.get(id) }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client.clientId,
        accountId: ctx.oidc.session.accountId,
      });
      grant.addOIDCScope("openid email profile");
      await grant.save();
      return grant;
    },
  });
  const callback = provider.callback();
  server.on("request", async (request, response) => {
    const url = new URL(request.url, issuer);
    if (url.pathname === "/sign") {
      // What the provider would sign of its own accord: the tests say what.
      const claims = JSON.parse(url.searchParams.get("claims"));
      const typ = url.searchParams.get("typ");
      return response.end(await new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: "tests", typ }).sign(privateKey));
    }
    if (!url.pathname.startsWith("/interaction/")) return callback(request, response);
    // An account is "SUBJECT|EMAIL|verified", as the test signs in with it.
    const [accountId, email, verified] = url.searchParams.get("account").split("|");
    accounts.set(accountId, { email, email_verified: verified === "verified" });
    const login = { accountId, amr: url.searchParams.get("amr")?.split(" ") };
    return provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
  });
  console.log(issuer);
});
