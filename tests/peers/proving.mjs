// undici, whose requests to a token endpoint carry a DPoP proof (RFC 9449), with the server's nonce when it asks.
import { randomUUID } from "node:crypto";
import { SignJWT, exportJWK, generateKeyPair } from "jose";
import * as undici from "undici";

export * from "undici";

const { privateKey, publicKey } = await generateKeyPair("ES256");
const jwk = await exportJWK(publicKey);

async function proof(url, nonce) {
  const claims = { htm: "POST", htu: url, jti: randomUUID(), ...(nonce && { nonce }) };
  return new SignJWT(claims).setProtectedHeader({ typ: "dpop+jwt", alg: "ES256", jwk }).setIssuedAt().sign(privateKey);
}

export async function request(url, options) {
  if (!String(url).endsWith("/oauth/token")) return undici.request(url, options);
  const send = async (nonce) =>
    undici.request(url, { ...options, headers: { ...options.headers, dpop: await proof(String(url), nonce) } });
  const first = await send("");
  if (first.statusCode !== 400) return first;
  await first.body.dump();
  return send(first.headers["dpop-nonce"]);
}
