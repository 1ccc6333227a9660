// The MCP conformance suite as it is, but for two modules that it imports: `fs` has no globSync on Node 20 (other
// commands than ours use it), and with DPOP=1 what it posts to the token endpoint carries a proof, which it cannot make.
import { register } from "node:module";

const file = (name) => new URL(name, import.meta.url).href;
const shim = 'export * from "node:fs"; export { default } from "node:fs"; export const globSync = () => [];';
const data = (text) => `data:text/javascript,${encodeURIComponent(text)}`;
const instead = { fs: data(shim) };
if (process.env.DPOP) instead.undici = file("proving.mjs");
register(
  data(`const instead = ${JSON.stringify(instead)};
  export async function resolve(name, context, next) {
    const theirs = context.parentURL?.includes("/@modelcontextprotocol/conformance/");
    return theirs && name in instead ? { url: instead[name], shortCircuit: true } : next(name, context);
  }`),
);
await import(file("node_modules/@modelcontextprotocol/conformance/dist/index.js"));
