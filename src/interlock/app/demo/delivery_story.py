"""The delivery story: a contractor's commit on its way to production, and five attacks on that way."""

from interlock.app.demo.people import Actor
from interlock.app.demo.run import Demo
from interlock.app.demo.shop import Shop, run_git
from interlock.app.demo.stage import Answer, NotAsTold, Stage, broken_story

_SHOWN = 12


async def tell_delivery(demo: Demo) -> int:
    """Play all of it; the number of steps. Raises Failure at the first step that does not go as told."""
    stage = Stage()
    if demo.shop is None:
        raise broken_story(NotAsTold("there is no repository"))
    try:
        await DeliveryStory(stage, demo, demo.shop).tell()
    except NotAsTold as error:
        raise broken_story(error) from error
    finally:
        await stage.clear()
    return stage.steps


class DeliveryStory:
    """The steps in their order. Each one leaves the repository as the next expects it."""

    def __init__(self, stage: Stage, demo: Demo, shop: Shop) -> None:
        self.stage, self.shop = stage, shop
        self.dev, self.lead, self.second, self.ops, self.mate = (
            demo.people[name] for name in ("dev", "lead", "second", "ops", "mate")
        )

    async def tell(self) -> None:
        released = await self.honest_change()
        await self.tester_deploys(released)
        await self.push_after_approval(released)
        await self.forged_author(released)
        await self.ci_in_the_same_change(released)
        await self.force_push()

    async def honest_change(self) -> str:
        stage, shop = self.stage, self.shop
        stage.step("A contractor's commit goes nowhere by itself")
        head = await shop.commit({"app.py": "print('better orders')\n"}, shop.first, self.dev.name)
        answer = await self._push(self.dev, f"{head}:refs/heads/main")
        self._expect(answer.code != 0 and "have it reviewed there" in answer.text, "main does not take it")
        answer = await self._push(self.dev, f"{head}:refs/heads/better")
        self._expect(answer.code == 0, "a branch of its own does")
        stage.step("Another person reviews that very commit")
        answer = await self._done(self.dev, "review", head)
        self._expect(answer.code == 1 and "carries develop and review" in answer.text, "dev cannot be that person")
        answer = await self._done(self.second, "review", head)
        self._expect(answer.code == 0, "second can, and signs it with the key of this home")
        answer = await self._push(self.dev, f"{head}:refs/heads/main")
        self._expect(answer.code == 0, "now main takes it")
        stage.step("A third tests, a fourth deploys")
        answer = await self._gate(self.ops, head)
        self._expect(answer.code == 1 and "Nobody has done test" in answer.text, "the gate says what is missing …")
        self._expect("Who could: lead@example.com" in answer.text, "… and who could supply it")
        answer = await self._done(self.lead, "test", head)
        self._expect(answer.code == 0, "lead tests it")
        answer = await self._gate(self.ops, head)
        self._expect(answer.code == 0 and "Open: deploy" in answer.text, "the gate is open for ops")
        return head

    async def tester_deploys(self, released: str) -> None:
        self.stage.step("Attack: who reviewed it deploys it as well")
        answer = await self._gate(self.second, released)
        self._expect(answer.code == 1 and "carries review and deploy" in answer.text, "the gate stays shut for second")
        answer = await self._done(self.ops, "deploy", released, "--environment", "production")
        self._expect(answer.code == 0, "ops deploys it, and that is evidence too")

    async def push_after_approval(self, released: str) -> None:
        self.stage.step("Attack: one more commit after the approval")
        head = await self.shop.commit({"app.py": "print('fine')\n"}, released, self.dev.name)
        await self._push(self.dev, f"{head}:refs/heads/fine")
        await self._done(self.second, "review", head)
        later = await self.shop.commit({"app.py": "print('not so fine')\n"}, head, self.dev.name)
        await self._push(self.dev, f"{later}:refs/heads/fine")
        answer = await self._push(self.dev, f"{later}:refs/heads/main")
        self._expect(answer.code != 0 and "another revision" in answer.text, "the approval was of another revision")

    async def forged_author(self, released: str) -> None:
        self.stage.step("Attack: dev writes lead's name under a commit, to approve it as somebody else's")
        head = await self.shop.commit({"app.py": "print('by lead?')\n"}, released, self.lead.name)
        await self._push(self.dev, f"{head}:refs/heads/forged")
        answer = await self._done(self.dev, "review", head)
        self._expect(
            answer.code == 1 and "dev@acme.example carries develop and review" in answer.text,
            "who pushed it wrote it, whatever it says",
        )

    async def ci_in_the_same_change(self, released: str) -> None:
        self.stage.step("Attack: the change also edits a script that CI runs")
        files = {"app.py": "print('ok')\n", "scripts/test.sh": "true\n"}
        head = await self.shop.commit(files, released, self.dev.name)
        await self._push(self.dev, f"{head}:refs/heads/quiet")
        await self._done(self.second, "review", head)
        answer = await self._push(self.dev, f"{head}:refs/heads/main")
        self._expect(answer.code != 0 and "Nobody has done build-review" in answer.text, "that needs one person more")

    async def force_push(self) -> None:
        self.stage.step("Attack: main is to forget its history")
        evil = await self.shop.commit({"app.py": "print('evil')\n"}, self.shop.first, self.dev.name)
        answer = await self._push(self.dev, f"+{evil}:refs/heads/main")
        self._expect(answer.code != 0 and "would lose commits" in answer.text, "no commit of main is ever lost")

    async def _push(self, actor: Actor, what: str) -> Answer:
        source, _, target = what.partition(":")
        shown = f"{source[:_SHOWN]}:{target}"
        self.stage.tell(actor, f"git push {shown}")
        arguments = ("push", "--quiet", str(self.shop.origin), what)
        code, said = await run_git(self.shop.clone, *arguments, more={"INTERLOCK_PUSHER": actor.short})
        answer = Answer(code, said, "")
        self.stage.show(answer)
        return answer

    async def _done(self, actor: Actor, duty: str, commit: str, *more: str) -> Answer:
        return await self.stage.play(actor, "duty", "done", "release", duty, "--artifact", f"git:shop@{commit}", *more)

    async def _gate(self, actor: Actor, commit: str) -> Answer:
        where = ("--environment", "production")
        return await self.stage.play(actor, "gate", "release", "deploy", "--artifact", f"git:shop@{commit}", *where)

    def _expect(self, holds: bool, sentence: str) -> None:
        self.stage.hold_true(sentence, when=holds)
