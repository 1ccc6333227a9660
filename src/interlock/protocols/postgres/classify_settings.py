"""What SET, RESET and set_config need, by the setting's name and value."""

import re
from dataclasses import dataclass

from interlock.domain.actions import Action
from interlock.protocols.postgres.classify_names import quote

_HARMLESS_NAMES = """
    application_name datestyle intervalstyle timezone timezone_abbreviations extra_float_digits bytea_output
    client_min_messages xmlbinary xmloption lc_monetary lc_numeric lc_time lc_messages statement_timeout lock_timeout
    transaction_timeout idle_in_transaction_session_timeout idle_session_timeout client_connection_check_interval
    tcp_keepalives_idle tcp_keepalives_interval tcp_keepalives_count tcp_user_timeout work_mem maintenance_work_mem
    temp_buffers hash_mem_multiplier effective_cache_size effective_io_concurrency maintenance_io_concurrency
    temp_tablespaces default_tablespace default_table_access_method default_toast_compression default_statistics_target
    default_text_search_config random_page_cost seq_page_cost cpu_tuple_cost cpu_index_tuple_cost cpu_operator_cost
    cursor_tuple_fraction constraint_exclusion from_collapse_limit join_collapse_limit plan_cache_mode
    recursive_worktable_factor geqo geqo_effort geqo_generations geqo_pool_size geqo_seed geqo_selection_bias
    geqo_threshold jit jit_above_cost jit_expressions jit_inline_above_cost jit_optimize_above_cost jit_tuple_deforming
    max_parallel_workers max_parallel_workers_per_gather max_parallel_maintenance_workers min_parallel_index_scan_size
    min_parallel_table_scan_size parallel_leader_participation parallel_setup_cost parallel_tuple_cost
    default_transaction_isolation default_transaction_deferrable transaction_isolation transaction_deferrable
    check_function_bodies escape_string_warning quote_all_identifiers synchronize_seqscans gin_fuzzy_search_limit
    restrict_nonsystem_relation_kind row_security seed
"""
_HARMLESS = frozenset(_HARMLESS_NAMES.split())
"""Settings that change how values look, how long things may take and how a plan is found, and nothing else.

``row_security off`` does not lift row security: it turns a query that would be filtered into an error.
"""

_SESSION_IDENTITY = frozenset({"role", "session_authorization"})
_ON = frozenset({"on", "true", "tru", "tr", "t", "yes", "ye", "y", "1"})
_ENCODINGS = frozenset({"utf8", "unicode", "sqlascii"})
_DEFAULTS_ARE_OURS = frozenset({"client_encoding", "standard_conforming_strings", "default_transaction_read_only"})
"""Settings whose default is what the session started with, which the session machine chose or allowed."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What changing a setting needs: ``actions`` empty is nothing beyond the connection.

    ``followed`` says that the session's meaning or rights may differ afterwards.
    """

    name: str
    actions: tuple[Action, ...] = ()
    followed: bool = False


def renames_application(name: str) -> bool:
    """Whether the setting ``name`` is the name by which the server's log knows the client's program."""
    return name.lower() == "application_name"


def classify_setting(name: str, value: str | None, *, as_list: bool = False, words: tuple[str, ...] = ()) -> Setting:
    """What setting ``name`` to ``value`` needs; None is its default, or a value that is not written out.

    A list may come as ``words``, or with ``as_list`` as one text with commas in it.
    """
    lowered = name.lower()
    shown = quote(lowered)
    if lowered in _HARMLESS or lowered.startswith("enable_"):
        return Setting(shown)
    if lowered == "search_path":
        path = _split_path(value) if as_list else tuple(word.lower() for word in words)
        known = value is not None or bool(words)
        moved = "pg_catalog" in path[1:] or (as_list and not known)
        return Setting(shown, (Action.EXECUTE,) if moved else (), followed=True)
    if lowered in _SESSION_IDENTITY:
        return Setting(shown, (Action.GRANT, Action.EXECUTE), followed=True)
    return Setting(shown, _decide_by_value(lowered, value, given=not as_list or value is not None), followed=True)


def _decide_by_value(name: str, value: str | None, *, given: bool) -> tuple[Action, ...]:
    if name in _DEFAULTS_ARE_OURS and value is None and given:
        return ()
    is_on = value is not None and value.lower() in _ON
    if name == "client_encoding":
        return () if re.sub(r"[^a-z0-9]", "", (value or "").lower()) in _ENCODINGS else (Action.EXECUTE,)
    if name == "standard_conforming_strings":
        return () if is_on else (Action.EXECUTE,)
    if name in ("default_transaction_read_only", "transaction_read_only"):
        return () if is_on else (Action.WRITE,)
    if name == "synchronous_commit":
        return (Action.WRITE,)
    return (Action.EXECUTE,)


def _split_path(value: str | None) -> tuple[str, ...]:
    return tuple(word.strip().strip('"').lower() for word in (value or "").split(","))
