"""What is known of PostgreSQL's functions, operators and system tables by name.

Every built-in function stands in exactly one of two places: ``HARMLESS_FUNCTIONS`` (it computes, or reads what the
session may read) or ``FUNCTIONS_OF_NOTE`` (it reaches beyond the tables, has an effect, or runs SQL text). The first
is made of the names of which PostgreSQL has no volatile form (``classify_builtins``) and of the volatile ones below
that were looked at one by one. A test asks a real server whether a function is missing.
"""

from dataclasses import dataclass

from interlock.domain.actions import Action
from interlock.protocols.postgres.classify_builtins import INFORMATION_SCHEMA_FUNCTIONS, OPERATORS, STEADY_FUNCTIONS

__all__ = [
    "FUNCTIONS_OF_NOTE",
    "HARMLESS_FUNCTIONS",
    "INFORMATION_SCHEMA_FUNCTIONS",
    "OPERATORS",
    "FunctionOfNote",
    "function_of_note",
    "relation_action",
]


@dataclass(frozen=True, slots=True)
class FunctionOfNote:
    """A function that needs more than ``read`` on what the statement names.

    ``transactional`` is false when its effect survives a rollback or takes place before the commit.
    ``measurable`` is false when it must not be run to find out what a statement would do. ``uncountable`` marks one
    whose change is in no statistics of rows.
    """

    action: Action
    transactional: bool = False
    measurable: bool = False
    uncountable: bool = False


_BEYOND = FunctionOfNote(Action.EXECUTE)
_SEQUENCE = FunctionOfNote(Action.WRITE, measurable=True)
_LASTING_WRITE = FunctionOfNote(Action.WRITE)
_WRITE = FunctionOfNote(Action.WRITE, transactional=True, measurable=True)
_LARGE_OBJECT = FunctionOfNote(Action.WRITE, transactional=True, measurable=True, uncountable=True)
_DESTROY = FunctionOfNote(Action.DESTROY, transactional=True, measurable=True)
_ALTER = FunctionOfNote(Action.ALTER)
_READ = FunctionOfNote(Action.READ, transactional=True, measurable=True)

# The server's files, its running, other sessions, other servers, the write-ahead log, SQL text that is run, and tables
# and cursors that are named by a value, which no rule can look at.
_BEYOND_NAMES = """
    pg_read_file pg_read_file_old pg_read_binary_file pg_stat_file pg_ls_dir pg_ls_logdir pg_ls_waldir pg_ls_tmpdir
    pg_ls_archive_statusdir pg_ls_logicalmapdir pg_ls_logicalsnapdir pg_ls_replslotdir pg_ls_summariesdir
    pg_logdir_ls pg_file_write pg_file_rename pg_file_unlink pg_file_sync pg_file_read pg_file_length
    pg_current_logfile pg_hba_file_rules pg_ident_file_mappings pg_show_all_file_settings pg_wal_summary_contents
    lo_import lo_export
    pg_terminate_backend pg_cancel_backend pg_reload_conf pg_rotate_logfile pg_rotate_logfile_old pg_promote
    pg_log_backend_memory_contexts pg_log_standby_snapshot pg_backup_start pg_backup_stop pg_start_backup
    pg_stop_backup pg_create_restore_point pg_switch_wal pg_wal_replay_pause pg_wal_replay_resume
    pg_create_logical_replication_slot pg_create_physical_replication_slot pg_copy_logical_replication_slot
    pg_copy_physical_replication_slot pg_drop_replication_slot pg_replication_slot_advance pg_sync_replication_slots
    pg_logical_slot_get_changes pg_logical_slot_get_binary_changes pg_logical_slot_peek_changes
    pg_logical_slot_peek_binary_changes pg_logical_emit_message
    pg_replication_origin_advance pg_replication_origin_create pg_replication_origin_drop
    pg_replication_origin_session_reset pg_replication_origin_session_setup pg_replication_origin_xact_reset
    pg_replication_origin_xact_setup
    pg_stat_reset pg_stat_reset_backend_stats pg_stat_reset_replication_slot pg_stat_reset_shared
    pg_stat_reset_single_function_counters pg_stat_reset_single_table_counters pg_stat_reset_slru
    pg_stat_reset_subscription_stats pg_stat_force_next_flush pg_stat_statements_reset
    pg_nextoid pg_stop_making_pinned_objects
    binary_upgrade_add_sub_rel_state binary_upgrade_create_empty_extension
    binary_upgrade_logical_slot_has_caught_up binary_upgrade_replorigin_advance binary_upgrade_set_missing_value
    binary_upgrade_set_next_array_pg_type_oid binary_upgrade_set_next_heap_pg_class_oid
    binary_upgrade_set_next_heap_relfilenode binary_upgrade_set_next_index_pg_class_oid
    binary_upgrade_set_next_index_relfilenode binary_upgrade_set_next_multirange_array_pg_type_oid
    binary_upgrade_set_next_multirange_pg_type_oid binary_upgrade_set_next_pg_authid_oid
    binary_upgrade_set_next_pg_enum_oid binary_upgrade_set_next_pg_tablespace_oid
    binary_upgrade_set_next_pg_type_oid binary_upgrade_set_next_toast_pg_class_oid
    binary_upgrade_set_next_toast_relfilenode binary_upgrade_set_record_init_privs
    query_to_xml query_to_xmlschema query_to_xml_and_xmlschema ts_stat
    crosstab crosstab2 crosstab3 crosstab4 crosstab_hash connectby xpath_table xslt_process
    get_raw_page heap_force_kill heap_force_freeze pg_truncate_visibility_map pg_prewarm autoprewarm_dump_now
    autoprewarm_start_worker postgres_fdw_disconnect postgres_fdw_disconnect_all postgres_fdw_get_connections
    plpgsql_inline_handler
    table_to_xml table_to_xml_and_xmlschema schema_to_xml schema_to_xml_and_xmlschema database_to_xml
    database_to_xml_and_xmlschema cursor_to_xml
"""

FUNCTIONS_OF_NOTE: dict[str, FunctionOfNote] = {
    **dict.fromkeys(_BEYOND_NAMES.split(), _BEYOND),
    **dict.fromkeys(("nextval", "setval"), _SEQUENCE),
    **dict.fromkeys(
        (
            "pg_advisory_lock",
            "pg_advisory_lock_shared",
            "pg_advisory_xact_lock",
            "pg_advisory_xact_lock_shared",
            "pg_try_advisory_lock",
            "pg_try_advisory_lock_shared",
            "pg_try_advisory_xact_lock",
            "pg_try_advisory_xact_lock_shared",
        ),
        _LASTING_WRITE,
    ),
    "pg_notify": _WRITE,
    **dict.fromkeys(("lo_creat", "lo_create", "lo_from_bytea", "lo_put", "lowrite"), _LARGE_OBJECT),
    **dict.fromkeys(("lo_unlink", "lo_truncate", "lo_truncate64"), _DESTROY),
    **dict.fromkeys(
        ("lo_open", "lo_close", "lo_get", "loread", "lo_lseek", "lo_lseek64", "lo_tell", "lo_tell64"), _READ
    ),
    **dict.fromkeys(
        (
            "brin_desummarize_range",
            "brin_summarize_new_values",
            "brin_summarize_range",
            "gin_clean_pending_list",
            "pg_import_system_collations",
            "pg_extension_config_dump",
            "pg_clear_attribute_stats",
            "pg_clear_relation_stats",
            "pg_restore_attribute_stats",
            "pg_restore_relation_stats",
        ),
        _ALTER,
    ),
}

# Volatile, and looked at: clocks, chance, sizes, the session's own state, what monitors read. Handlers, trigger
# functions and support functions are here too: the server refuses to call them from SQL.
_HARMLESS_VOLATILE = """
    clock_timestamp timeofday random random_normal setseed gen_random_uuid uuidv4 uuidv7 array_sample array_shuffle
    current_query currval lastval pg_sleep pg_sleep_for pg_sleep_until pg_export_snapshot
    pg_advisory_unlock pg_advisory_unlock_all pg_advisory_unlock_shared
    pg_relation_size pg_table_size pg_indexes_size pg_total_relation_size pg_database_size pg_tablespace_size
    pg_sequence_last_value pg_get_sequence_data pg_partition_ancestors pg_partition_tree currtid2 cursor_to_xmlschema
    txid_status pg_xact_status pg_xact_commit_timestamp pg_xact_commit_timestamp_origin pg_last_committed_xact
    pg_get_multixact_members pg_prepared_xact pg_lock_status pg_blocking_pids pg_safe_snapshot_blocking_pids
    pg_isolation_test_session_is_blocked pg_notification_queue_usage pg_jit_available
    pg_collation_actual_version pg_database_collation_actual_version
    pg_control_checkpoint pg_control_init pg_control_recovery pg_control_system
    pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn pg_is_in_recovery pg_is_wal_replay_paused
    pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_get_wal_replay_pause_state
    pg_get_wal_resource_managers pg_get_wal_summarizer_state pg_available_wal_summaries
    pg_get_aios pg_get_backend_memory_contexts pg_get_loaded_modules pg_get_shmem_allocations
    pg_get_shmem_allocations_numa pg_get_wait_events pg_show_replication_origin_status
    pg_replication_origin_progress pg_replication_origin_session_is_setup pg_replication_origin_session_progress
    pg_stat_clear_snapshot pg_stat_get_backend_io pg_stat_get_backend_wal pg_stat_get_io
    pg_stat_get_recovery_prefetch pg_stat_have_stats pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit
    pg_stat_get_xact_function_calls pg_stat_get_xact_function_self_time pg_stat_get_xact_function_total_time
    pg_stat_get_xact_numscans pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched
    pg_stat_get_xact_tuples_hot_updated pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_newpage_updated
    pg_stat_get_xact_tuples_returned pg_stat_get_xact_tuples_updated
    amvalidate bernoulli system brinhandler bthandler ginhandler gisthandler hashhandler spghandler
    heap_tableam_handler dsnowball_init dsnowball_lexize plpgsql_call_handler plpgsql_validator
    suppress_redundant_updates_trigger tsvector_update_trigger tsvector_update_trigger_column unique_key_recheck
    RI_FKey_cascade_del RI_FKey_cascade_upd RI_FKey_check_ins RI_FKey_check_upd RI_FKey_noaction_del
    RI_FKey_noaction_upd RI_FKey_restrict_del RI_FKey_restrict_upd RI_FKey_setdefault_del RI_FKey_setdefault_upd
    RI_FKey_setnull_del RI_FKey_setnull_upd
"""

SPECIAL_FUNCTIONS = frozenset({"set_config", "ts_rewrite"})
"""Functions whose need depends on their arguments: the walk has a rule for each."""

HARMLESS_FUNCTIONS = (STEADY_FUNCTIONS | frozenset(_HARMLESS_VOLATILE.split())) - FUNCTIONS_OF_NOTE.keys()

# Functions of extensions live in any schema, and a server newer than this table may have new ones.
_PREFIXES_BEYOND = ("dblink", "binary_upgrade_", "pg_file_", "pg_read_", "pg_ls_", "query_to_xml", "lo_", "plpython")
_SCHEMAS_BEYOND = frozenset({"cron", "net", "aws_s3", "aws_lambda", "pgagent", "dbms_scheduler"})


def function_of_note(schema: str, name: str) -> FunctionOfNote | None:
    """What is special about the function ``name`` (``schema`` is empty when none was written).

    A dangerous name counts in any schema, since extensions can be anywhere. A name that starts with ``pg_``, or is
    said to be in ``pg_catalog``, and that no table knows is of a newer server or an extension: the widest action.
    """
    known = FUNCTIONS_OF_NOTE.get(name)
    if known is not None:
        return known
    if schema in _SCHEMAS_BEYOND or name.startswith(_PREFIXES_BEYOND):
        return _BEYOND
    if name in HARMLESS_FUNCTIONS:
        return None
    if schema == "pg_catalog" or (not schema and name.startswith("pg_")):
        return _BEYOND
    return None


# Password hashes, passwords to other servers, the server's own access rules and settings files. (The one secret column
# of pg_subscription is kept by the server from all but superusers, and every dump reads the others.)
_GUARDED_RELATIONS = {
    "pg_authid": Action.GRANT,
    "pg_shadow": Action.GRANT,
    "pg_user_mapping": Action.GRANT,
    "pg_user_mappings": Action.GRANT,
    "pg_hba_file_rules": Action.EXECUTE,
    "pg_ident_file_mappings": Action.EXECUTE,
    "pg_file_settings": Action.EXECUTE,
}


def relation_action(schema: str, name: str) -> Action | None:
    """What reading the relation needs besides ``read``, if anything."""
    if schema in ("", "pg_catalog"):
        return _GUARDED_RELATIONS.get(name)
    if schema == "information_schema" and name in ("user_mapping_options", "_pg_user_mappings"):
        return Action.GRANT
    return None


def is_system_relation(schema: str, name: str) -> bool:
    """Whether changing the relation changes the server itself rather than somebody's table."""
    if schema:
        return schema in ("pg_catalog", "information_schema", "pg_toast")
    return name.startswith("pg_")
