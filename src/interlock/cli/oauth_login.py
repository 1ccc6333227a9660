"""Signing in from a terminal through a browser: this one's, or any other's with a code.

The command line is an ordinary client of the authorization server. Its key is this home's key, proved with every call;
what comes back is a login of that key. No password passes through here.
"""

import base64
import hashlib
import hmac
import secrets
import time
import webbrowser
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from interlock.cli.output import note
from interlock.errors import Failure, Refusal
from interlock.identity.api_client import ApiClient
from interlock.identity.oauth_clients import OWN_ID

_WAIT_S = 300.0
_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
_DONE = "It is done. You may close this page and go back to the terminal.\n"
_NOT_DONE = "It was not done; the terminal says why.\n"


def login_with_code(api: ApiClient) -> dict[str, Any]:
    """RFC 8628: the person opens a page anywhere, and types or compares a code. Raises Refusal."""
    begun = api.post_form("/oauth/device", {"client_id": OWN_ID, "scope": "login"})
    note(
        f"Open {begun['verification_uri']} in a browser and type the code\n\n    {begun['user_code']}\n\n"
        f"or open {begun['verification_uri_complete']}\nWaiting for your answer there …"
    )
    form = {"client_id": OWN_ID, "grant_type": _DEVICE, "device_code": str(begun["device_code"])}
    pause_s = float(begun["interval"])
    until = time.monotonic() + float(begun["expires_in"])
    while time.monotonic() < until:
        time.sleep(pause_s)
        try:
            answer: dict[str, Any] = api.post_form("/oauth/token", form)
        except Refusal as refusal:
            if refusal.code == "slow_down":
                pause_s += 5
            elif refusal.code != "authorization_pending":
                raise
        else:
            return answer
    raise Refusal("expired_token", "Nobody answered in time.", "Type `interlock login` again.")


def login_with_browser(api: ApiClient) -> dict[str, Any]:
    """RFC 8252: the browser of this machine, and the answer on a loopback port. Raises Refusal."""
    server = api.get("/.well-known/oauth-authorization-server")
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with _Waiting(("127.0.0.1", 0), _Answer) as waiting:
        redirect = f"http://127.0.0.1:{waiting.server_address[1]}/callback"
        asking = {
            "client_id": OWN_ID,
            "response_type": "code",
            "scope": "login",
            "redirect_uri": redirect,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        pushed = api.post_form("/oauth/par", asking)
        page = f"{server['authorization_endpoint']}?" + urlencode(
            {"client_id": OWN_ID, "request_uri": pushed["request_uri"]}
        )
        note(f"Sign in on the page that opens in your browser, or open it yourself:\n{page}")
        webbrowser.open(page)
        answered = waiting.wait_for(state, str(server["issuer"]))
    if "error" in answered:
        raise Refusal(answered["error"], answered.get("error_description", "The person said no."), "")
    form = {
        "client_id": OWN_ID,
        "grant_type": "authorization_code",
        "code": answered.get("code", ""),
        "code_verifier": verifier,
        "redirect_uri": redirect,
    }
    got: dict[str, Any] = api.post_form("/oauth/token", form)
    return got


class _Waiting(HTTPServer):
    """Listens for the one answer. Others may call the port too: what lacks our state or our server's name is none."""

    answered: dict[str, str]

    def wait_for(self, state: str, issuer: str) -> dict[str, str]:
        self.state, self.issuer, self.answered = state, issuer, {}
        until = time.monotonic() + _WAIT_S
        while not self.answered:
            self.timeout = until - time.monotonic()
            if self.timeout <= 0:
                raise Failure("Nobody answered in the browser.", "Try `interlock login --how code`.")
            self.handle_request()
        return self.answered

    def takes(self, fields: dict[str, str]) -> bool:
        """RFC 6749 section 10.12 and RFC 9207: an answer to this very question, from this very server."""
        mine = hmac.compare_digest(fields.get("state", "").encode(), self.state.encode())
        return mine and fields.get("iss") == self.issuer


class _Answer(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self) -> None:
        server = self.server
        parts = urlsplit(self.path)
        fields = {name: values[0] for name, values in parse_qs(parts.query).items()}
        mine = isinstance(server, _Waiting) and parts.path == "/callback" and server.takes(fields)
        if isinstance(server, _Waiting) and mine:
            server.answered = fields
        said = (_DONE if mine and "code" in fields else _NOT_DONE).encode()
        self.send_response(200 if mine else 400)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: Any) -> None:
        """The terminal is the person's."""
