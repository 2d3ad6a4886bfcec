// Login by an OpenID provider: authorization code with PKCE (RFC 7636), in this window.

const PENDING = "overture-review-login";

/** Leave for the provider's login page. */
export async function begin(oidc) {
  if (!crypto.subtle) throw new Error("Logging in needs HTTPS: this page was not loaded over it.");
  const provider = await discover(oidc.issuer);
  const [state, nonce, verifier] = [random(), random(), random()];
  const challenge = base64(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
  sessionStorage.setItem(PENDING, JSON.stringify({ state, nonce, verifier, hash: location.hash }));
  const address = web(provider.authorization_endpoint);
  const wanted = {
    response_type: "code", client_id: oidc.client_id, redirect_uri: here(), scope: oidc.scopes,
    state, nonce, code_challenge: challenge, code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(wanted)) address.searchParams.set(name, value);
  location.assign(address.href);
}

/** The token, if the provider has just sent us back; null otherwise. */
export async function finish(oidc) {
  const told = new URLSearchParams(location.search);
  if (!told.has("state")) return null;
  const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  sessionStorage.removeItem(PENDING);
  history.replaceState(null, "", `${location.pathname}${pending?.hash ?? ""}`);
  if (!oidc || pending === null || pending.state !== told.get("state")) throw new Error("This login was not begun here. Begin it again.");
  if (told.has("error")) throw new Error(`The provider refused: ${told.get("error_description") ?? told.get("error")}.`);
  const provider = await discover(oidc.issuer);
  const form = new URLSearchParams({
    grant_type: "authorization_code", code: told.get("code") ?? "", redirect_uri: here(),
    client_id: oidc.client_id, code_verifier: pending.verifier,
  });
  const answer = await fetch(web(provider.token_endpoint).href, { method: "POST", body: form, cache: "no-store" });
  if (!answer.ok) throw new Error(`The provider gave no token (${answer.status}).`);
  const tokens = await answer.json();
  // read, not verified: it comes from the provider itself (OpenID Connect Core 3.1.3.7); the service verifies what it is sent
  if (claims(tokens.id_token).nonce !== pending.nonce) throw new Error("The provider's answer belongs to another login. Begin it again.");
  return tokens[oidc.token];
}

async function discover(issuer) {
  const answer = await fetch(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${issuer} does not describe itself (${answer.status}).`);
  const provider = await answer.json();
  if (provider.issuer !== issuer) throw new Error(`${issuer} calls itself ${provider.issuer}.`);
  return provider;
}

function web(text) {
  const address = new URL(text);
  if (!["https:", "http:"].includes(address.protocol)) throw new Error("The provider names an address that is no web page.");
  return address;
}

const here = () => `${location.origin}${location.pathname}`;
const random = () => base64(crypto.getRandomValues(new Uint8Array(32)));
const base64 = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

function claims(token) {
  const text = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (character) => character.charCodeAt(0))));
}
