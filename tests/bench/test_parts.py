"""What a profile's symbols are called where people read them."""

import pytest
from bench.parts import readable, shown


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("__pyx_f_9interlock_7gateway_4pump_4Pump_work", "pump.Pump.work"),
        ("__pyx_pw_9interlock_7gateway_7session_7Session_7received", "session.Session.received"),
        ("__pyx_f_9interlock_7gateway_7journal_4_Ear_turn_over", "journal._Ear.turn_over"),
        ("__pyx_pw_9interlock_7gateway_7sealing_8gather", "sealing.gather"),
        ("__pyx_f_9interlock_9protocols_8postgres_8template_find_template", "postgres.template.find_template"),
        ("tcp_sendmsg", "tcp_sendmsg"),
    ],
)
def test_a_function_is_called_by_its_own_name(symbol: str, name: str) -> None:
    assert readable(symbol) == name


def test_a_stack_begins_with_what_is_ours() -> None:
    stack = [
        "_start",
        "_PyEval_EvalFrameDefault",
        "__pyx_pw_9interlock_7gateway_4pump_4Pump_5work",
        "__pyx_f_9interlock_7gateway_4pump_4Pump_work",
        "PyObject_Vectorcall",
        "__pyx_f_9interlock_7gateway_4pump_4Pump_turn",
        "__libc_send",
        "tcp_sendmsg",
    ]
    assert shown(stack) == ["pump.Pump.work", "pump.Pump.turn", "__libc_send", "tcp_sendmsg"]
    assert shown(["_start", "_PyEval_EvalFrameDefault", "_PyObject_Malloc"]) == ["_start", "_PyObject_Malloc"]
