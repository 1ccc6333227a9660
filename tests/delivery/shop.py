"""A shop: a real repository, a forge's double, a chain from a commit to production, and the people who carry it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from interlock.domain.delivery import Verdict
from interlock.domain.people import Identity, Person
from interlock.domain.roles import ApprovalRule, BreakGlass
from interlock.forges.gitea import GiteaForge
from interlock.forges.github import GitHubForge
from interlock.forges.gitlab import GitLabForge
from interlock.git.reader import GitRepositories
from interlock.identity.envelopes import SigningAttestor, seal
from interlock.identity.keys import new_key, public_jwk, thumbprint
from interlock.policy.configuration import Chain, Configuration, Separation, SeparationKind, Workload
from interlock.policy.repositories import Checks, Environment, ForgeSource, Repository
from interlock.ports.forge import ForgeSettings, OpenForge
from interlock.services.delivery import Delivery
from interlock.services.emergency_deployment import look_again
from interlock.services.evidence import Wanted, describe_duty, give_evidence
from interlock.services.forge_news import Heard, hear_news
from interlock.services.gate import ask_gate
from interlock.services.workloads import Acting
from tests.services.world import ADMIN, BOTH, DBA, DBA2, DEV, LEAD, MATE, OPS, RIVAL, World, company
from tests.support.forges import PROJECT, SECRET, ZEROS, ForgeDouble, Message, Pull
from tests.support.repositories import Origin

DUTIES = ("develop", "review", "build-review", "test", "deploy")
PEOPLE = (DEV, MATE, RIVAL, LEAD, DBA, DBA2, OPS, BOTH, ADMIN)
GLASS = BreakGlass(
    longest=timedelta(minutes=30),
    by=ApprovalRule(1, people=frozenset({OPS, BOTH, ADMIN})),
    tell=ApprovalRule(1, people=frozenset({LEAD})),
    review=ApprovalRule(2, "dba"),
)
CI = ".github/workflows/ci.yml"
FILES: Mapping[str, str] = {
    "app.py": "print(1)\n",
    "readme.md": "shop\n",
    CI: "jobs:\n  test:\n    steps:\n      - run: ./scripts/test.sh\n",
    "scripts/test.sh": "true\n",
}
OPENERS: Mapping[str, Callable[[ForgeSettings], OpenForge]] = {
    "github": GitHubForge,
    "gitlab": GitLabForge,
    "gitea": GiteaForge,
}


def login(person: str) -> str:
    return person.partition("@")[0]


def mail(person: str) -> str:
    return f"{login(person)}@mail.example"


@dataclass
class Shop:
    """The world with little to type. A step of a story is one call."""

    world: World
    origin: Origin
    forge: ForgeDouble
    delivery: Delivery
    first: str
    attestor: SigningAttestor
    keys: dict[str, EllipticCurvePrivateKey] = field(default_factory=dict)

    @classmethod
    async def open(cls, world: World, folder: Path, forge: ForgeDouble, **changes: Any) -> "Shop":
        origin = Origin.create(folder / "shop.git")
        origin.seconds = changes.pop("start", 0)
        files = {**FILES, **changes.pop("files", {})}
        first = origin.commit(files, author=mail(LEAD))
        origin.move("main", first)
        by = changes.pop("by", {})
        people = changes.pop("people", {})
        repository = Repository(
            "shop",
            str(origin.folder),
            "main",
            first,
            "release",
            "review",
            forge="hub",
            project=PROJECT,
            ci_duty=changes.pop("ci_duty", "build-review"),
            builders=changes.pop("builders", {}),
            checks=Checks("test", frozenset({"ci"}), "runner[bot]") if changes.pop("checks", False) else None,
            environments={
                "production": Environment("production", "orders", "reader", changes.pop("lend", None)),
                "staging": Environment("staging"),
            },
        )
        configuration = _configuration(repository, by, people, changes.pop("workloads", {}))
        configuration = _separated(configuration, changes.pop("separations", ()), changes.pop("conflicts", ()))
        await world.apply(configuration)
        opened = OPENERS[forge.kind](
            ForgeSettings("hub", forge.api, SECRET, "token", frozenset({"robot", "agent-of-dba"}))
        )
        attestor = SigningAttestor(new_key())
        mirrors = GitRepositories(folder / "mirrors", configuration.repositories)
        delivery = Delivery(world.desk, mirrors, attestor, {"hub": opened})
        world.look_again = lambda request: look_again(delivery, request)
        return cls(world, origin, forge, delivery, first, attestor)

    async def close(self) -> None:
        for opened in self.delivery.forges.values():
            await opened.close()

    # --- what people do

    async def tell(self, message: Message) -> Heard:
        headers, body = message
        self.world.clock.advance(timedelta(seconds=30))
        news = self.delivery.forges["hub"].read_news(headers, body)
        return await hear_news(self.delivery, forge="hub", news=news)

    async def write(
        self,
        person: str,
        files: Mapping[str, str | None] | None = None,
        *,
        onto: str | None = None,
        branch: str = "topic",
        pushed_by: str | None = None,
        **more: Any,
    ) -> str:
        """A commit, pushed to a branch; the forge tells of it."""
        author = more.pop("author", mail(person))
        changed = {"app.py": f"print({self.origin.seconds})\n"} if files is None else files
        sha = self.origin.commit(changed, onto or self.first, author=author, **more)
        await self.push(pushed_by or person, sha, branch)
        return sha

    async def push(self, person: str, sha: str, branch: str = "topic") -> None:
        before = self.origin.move(branch, sha)
        await self.tell(self.forge.push(login(person), before, sha, branch))

    async def approve(self, pull: Pull, *people: str) -> None:
        for person in people:
            self.forge.review(pull, login(person))
        await self.tell(self.forge.reviewed(pull))

    async def merge(self, pull: Pull, by: str, onto: str | None = None) -> str:
        """The forge's merge button."""
        sha = self.origin.merge(onto or self.origin.head(), pull.head, author=mail(by), committer="noreply@github.com")
        before = self.origin.move("main", sha)
        pull.merged = sha
        await self.tell(self.forge.push(login(by), before, sha, "main"))
        await self.tell(self.forge.reviewed(pull))
        return sha

    async def done(self, person: str, duty: str, sha: str, environment: str = "") -> None:
        """`interlock duty done`: described by the server, signed with the person's own key."""
        self.world.clock.advance(timedelta(seconds=30))
        key = self.keys.setdefault(person, new_key())
        signed_in = await self.world.sign_in(person, key=thumbprint(key))
        acting = Acting(login=signed_in.id)
        wanted = Wanted("release", duty, f"git:shop@{sha}", environment)
        statement = await describe_duty(self.delivery, acting=acting, wanted=wanted, jwk=public_jwk(key))
        envelope = seal(statement, key).text()
        await give_evidence(self.delivery, acting=acting, key=thumbprint(key), envelope=envelope)

    async def gate(
        self, sha: str, person: str | None = OPS, environment: str = "production", duty: str = "deploy"
    ) -> Verdict:
        self.world.clock.advance(timedelta(seconds=30))
        await self.delivery.repositories.refresh("shop", at_once=True)
        return await ask_gate(
            self.delivery,
            chain="release",
            duty=duty,
            artifact=f"git:shop@{sha}",
            environment=environment if duty == "deploy" else "",
            person=person,
        )

    async def codes(self, sha: str, person: str | None = OPS, environment: str = "production") -> set[str]:
        return {one.code for one in (await self.gate(sha, person, environment)).missing}

    # --- whole stories

    async def change(
        self, author: str = DEV, reviewer: str = DBA, tester: str = DBA2, files: Mapping[str, str | None] | None = None
    ) -> str:
        """A change as it is meant to be: written, reviewed, merged, tested. The merge."""
        head = await self.write(author, files, onto=self.origin.head(), branch=f"topic-{self.origin.seconds}")
        pull = self.forge.open(head, login(author))
        await self.approve(pull, reviewer)
        merged = await self.merge(pull, reviewer)
        await self.done(tester, "test", merged)
        return merged


def _configuration(
    repository: Repository, by: Mapping[str, ApprovalRule], people: Mapping[str, Person], jobs: Mapping[str, Workload]
) -> Configuration:
    base = company()
    reader = replace(base.roles["reader"], break_glass=GLASS)
    chain = Chain("release", DUTIES, (Separation(SeparationKind.SEPARATE, DUTIES),), takers=by)
    identities = [Identity("email", mail(person), person) for person in PEOPLE]
    identities += [Identity("hub", login(person), person) for person in PEOPLE]
    identities.append(Identity("hub", "runner[bot]", ADMIN))
    identities.append(Identity("hub", "dev-second", DEV))
    identities.append(Identity("hub", "agent-of-dba", DBA))
    identities.append(Identity("hub", "robot", DEV))
    identities.append(Identity("email", "robot@mail.example", DEV))
    configuration = company(
        chains={"release": chain},
        identities=tuple(identities),
        forges={"hub": ForgeSource("hub", "github", "http://127.0.0.1:1", "env:HOOK")},
        repositories={"shop": repository},
        people={**base.people, **people},
        roles={**base.roles, "reader": reader},
        workloads=jobs,
    )
    return replace(configuration)


def _separated(
    configuration: Configuration, separations: tuple[Separation, ...], conflicts: tuple[Separation, ...]
) -> Configuration:
    """With other separations of the chain, and of roles, where some are given."""
    chain = configuration.chains["release"]
    if separations:
        configuration = replace(configuration, chains={"release": replace(chain, separations=separations)})
    return replace(configuration, separations=conflicts or configuration.separations)


__all__ = ["ZEROS", "Shop", "login", "mail"]
