import re
from pathlib import Path

from fastapi.routing import APIRoute

from interlock.web.api import OPEN_ROUTERS, ROUTERS

API = Path(__file__).parents[2] / "docs" / "api.md"


def test_every_call_is_documented_and_no_other() -> None:
    routes = [
        route
        for router in (*ROUTERS, *OPEN_ROUTERS)
        for route in router.routes
        if isinstance(route, APIRoute) and route.include_in_schema
    ]
    served = {f"{method} {route.path}" for route in routes for method in route.methods or ()}
    documented = set(re.findall(r"^\| `((?:GET|POST) /\S+)`", API.read_text(), re.MULTILINE))
    assert served == documented
