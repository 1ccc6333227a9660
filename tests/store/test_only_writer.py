"""Nothing in the source writes the state but the unit of work.

What the database refuses is tested in ``test_guards``; this walks the code, so that nobody starts a second way.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import interlock
from interlock.store.tables import metadata

SOURCE = Path(interlock.__file__).parent
DRIVERS = {"sqlalchemy", "asyncpg", "psycopg", "alembic"}
WRITERS = {"insert", "update", "delete", "text", "DDL", "exec_driver_sql", "executemany", "copy_records_to_table"}
WRITING = ("insert into", "update interlock", "delete from", "truncate ", "merge into", "copy ", "alter ", "drop ")

EXEMPT = {
    "store/unit_of_work.py": "the unit of work",
    "store/replay.py": "a cache of used proofs, which is no state; test_the_replay_cache_names_no_other_table",
    "store/waiting.py": "what strangers began, which is no state; test_the_waiting_room_names_no_other_table",
    "store/watch_memory.py": "follows from the ledger, and is no state; test_the_watch_memory_names_no_other_table",
    "store/segment_words.py": "made anew from the recordings, and is no state; test_the_words_name_no_other_table",
    "store/outbox.py": "letters on their way, which are no state; test_the_outbox_names_no_other_table",
    "store/followings.py": "who may go on until when, which is no state; test_the_followings_name_no_other_table",
    "store/tellings.py": "who tells a sink, which is no state; test_the_tellings_name_no_other_table",
    "store/migrate.py": "makes the schema, as its owner, at start",
    "store/migrations/__init__.py": "the same",
    "store/migrations/env.py": "the same",
    "store/migrations/versions/v0001_state.py": "the same",
    "store/migrations/versions/v0003_oauth.py": "the same",
    "store/tables.py": "defines the tables; its text() is an index's condition",
    "store/cluster.py": "makes the embedded server's roles, before it first runs",
}


def _files() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text(), str(path))


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(module, name) of everything imported; the name is empty where the module itself is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from ((node.module, alias.name) for alias in node.names)


def test_only_the_store_knows_the_database() -> None:
    """A driver elsewhere talks to a protected database: its file knows no way to the state's."""
    for name, tree in _files():
        if name.startswith("store/"):
            continue
        modules = {module for module, _ in _imports(tree)}
        store = {module for module in modules if module.startswith("interlock.store")}
        assert not store or name.startswith(("app/", "cli/")), f"{name} imports {store}"
        drivers = {module for module in modules if module.split(".")[0] in DRIVERS}
        assert not drivers or name.startswith(("app/", "protocols/")), f"{name} imports {drivers}"
        assert not drivers or store <= {"interlock.store.embedded"}, f"{name} imports {drivers} and {store}"


def test_only_the_unit_of_work_can_write() -> None:
    for name, tree in _files():
        if not name.startswith("store/") or name in EXEMPT:
            continue
        for module, imported in _imports(tree):
            if module.split(".")[0] in DRIVERS:
                assert imported not in WRITERS, f"{name} imports {imported}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                assert node.attr not in WRITERS, f"{name}:{node.lineno} calls {node.attr}"
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said = node.value.strip().lower()
                assert not said.startswith(WRITING), f"{name}:{node.lineno} writes in SQL"


def test_the_replay_cache_names_no_other_table() -> None:
    tables = {table.name for table in metadata.tables.values()}
    (tree,) = (tree for name, tree in _files() if name == "store/replay.py")
    assert {imported for module, imported in _imports(tree) if module == "interlock.store.tables"} == {"seen_proofs"}
    assert not {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)} & tables


def test_the_watch_memory_names_no_other_table() -> None:
    tables = {table.name for table in metadata.tables.values()}
    (tree,) = (tree for name, tree in _files() if name == "store/watch_memory.py")
    assert {imported for module, imported in _imports(tree) if module == "interlock.store.tables"} == {"watch_memory"}
    assert not {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)} & tables


def test_the_words_name_no_other_table() -> None:
    tables = {table.name for table in metadata.tables.values()}
    (tree,) = (tree for name, tree in _files() if name == "store/segment_words.py")
    imported = {imported for module, imported in _imports(tree) if module == "interlock.store.tables"}
    assert imported == {"segment_words", "segment_words_upto"}
    assert not {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)} & tables


def test_the_outbox_names_no_other_table() -> None:
    tables = {table.name for table in metadata.tables.values()}
    (tree,) = (tree for name, tree in _files() if name == "store/outbox.py")
    imported = {imported for module, imported in _imports(tree) if module == "interlock.store.tables"}
    assert imported == {"letters", "letters_upto"}
    assert not {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)} & tables


def test_the_followings_name_no_other_table() -> None:
    tables = {table.name for table in metadata.tables.values()}
    (tree,) = (tree for name, tree in _files() if name == "store/followings.py")
    imported = {imported for module, imported in _imports(tree) if module == "interlock.store.tables"}
    assert imported == {"followings", "ledger"}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    written = {ast.unparse(call.args[0]) for call in calls if ast.unparse(call.func) in WRITERS}
    assert written == {"followings"}
    assert not {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)} & tables


def test_the_tellings_name_no_other_table() -> None:
    tables = {table.name for table in metadata.tables.values()}
    (tree,) = (tree for name, tree in _files() if name == "store/tellings.py")
    assert {imported for module, imported in _imports(tree) if module == "interlock.store.tables"} == {"tellings"}
    assert not {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)} & tables


def test_the_exempt_are_there() -> None:
    assert EXEMPT.keys() <= {name for name, _ in _files()}


def test_the_waiting_room_names_no_other_table() -> None:
    tables = {table.name for table in metadata.tables.values()}
    (tree,) = (tree for name, tree in _files() if name == "store/waiting.py")
    assert {imported for module, imported in _imports(tree) if module == "interlock.store.tables"} == {"waiting"}
    assert not {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)} & tables
