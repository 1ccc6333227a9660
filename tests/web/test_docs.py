import re
from pathlib import Path

from fastapi.routing import APIRoute

from interlock.web.api import OPEN_ROUTERS, ROUTERS
from interlock.web.api_page import page

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


def test_the_page_of_forms_is_made_anew() -> None:
    made = API.with_name("api-forms.md").read_text()
    assert made == page(), "python -m interlock.web.api_page > docs/api-forms.md"
