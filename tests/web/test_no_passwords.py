"""Where the configuration lets nobody have a password, none that was set before opens anything."""

import pytest

from interlock.errors import Refusal
from interlock.identity.keys import new_key
from interlock.services.enrol import issue_enrolment
from tests.services.world import DBA, company
from tests.web.house import PASSWORD, House, contracts_of_now


async def test_a_password_of_before_opens_nothing(house: House) -> None:
    await house.enrol(DBA)
    issued = await issue_enrolment(house.services.front, person=DBA, by="operator")
    await house.world.apply(company(contracts=contracts_of_now(), passwords=False))
    object.__setattr__(house.services.desk, "configuration", house.world.configuration)
    client = house.client(new_key())
    right = {"person": DBA, "password": PASSWORD, "totp": house.code(DBA)}
    unknown = {"person": "nobody@example.com", "password": PASSWORD}
    enrols = {"person": DBA, "code": issued.text, "password": "another horse battery"}
    for path, body in (("sign-in", right), ("sign-in", unknown), ("enrol", enrols)):
        with pytest.raises(Refusal) as caught:
            await client.post(f"/v1/{path}", body)
        assert caught.value.code == "no-passwords"
    with pytest.raises(Refusal):
        await issue_enrolment(house.services.front, person=DBA, by="operator")
