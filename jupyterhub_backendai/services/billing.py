"""The biller: charges sessions that are over, and ends what runs on credit that is used up. Every minute, one service."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from .. import i18n
from ..backends.base import Backend
from ..config import BackendAI
from ..core import ends as kinds
from ..core.ends import is_same
from ..core.ledger import CREDIT_USED_UP, Accounted, Used, decide_usage, find_mark, seconds_left
from ..core.reasons import is_node_failure
from ..errors import BackendAIError
from ..identity.mail import Mailer
from ..store import batch, credit, ends, idle, ledger
from ..store.credit import Consumer, Credit
from ..store.database import Database
from ..store.ledger import Due
from .batch_runner import BatchRunner
from .bill_mails import ENDED, WARNING, write_mail
from .hub import HubClient
from .idle import STOPPING
from .lease import Lease

log = logging.getLogger("backendai")
LEASE = "billing"
BATCH_SIZE = 500
Answer = Mapping[str, Accounted] | None


class Biller:
    """What an engine's accounting says of a session is charged; where there is none, or none answers for a day, our own records."""

    def __init__(
        self, settings: BackendAI, db: Database, hub: HubClient, backends: Mapping[str, Backend], runner: BatchRunner, mail: Mailer
    ) -> None:
        self._settings, self._db, self._hub, self._backends = settings, db, hub, backends
        self._runner, self._mail = runner, mail
        self._billing = settings.make_billing()
        self._lease = Lease(db, LEASE, 3 * settings.bill_interval_s)

    async def run(self) -> None:
        """Bill for ever; cancelled when the service stops."""
        await self._lease.repeat(self.look, self._settings.bill_interval_s, "Nothing was billed")

    async def look(self, at: float | None = None) -> int:
        """Settle what is over, then see to credit that runs out; how many sessions were settled."""
        at = time.time() if at is None else at
        if not await self._lease.take():
            return 0
        settled = await self.settle(at)
        if self._billing.limit != "none":
            await self.watch(at)
        return settled

    # -- settling

    async def settle(self, at: float) -> int:
        """Charge every session that is over and whose usage is known; how many."""
        settled, after = 0, ""
        while dues := await self._db.run(ledger.list_due, BATCH_SIZE, after):
            answers = await self._ask(dues)
            for due in dues:
                settled += await self._settle(due, answers, at)
            after = dues[-1].session_id
        return settled

    async def _ask(self, dues: Sequence[Due]) -> dict[tuple[str, str], Answer | BackendAIError]:
        """What each engine's accounting says of the jobs of these sessions."""
        wanted: dict[tuple[str, str], list[str]] = {}
        for due in dues:
            if due.job_id and due.engine in self._backends:
                wanted.setdefault((due.engine, due.cluster), []).append(due.job_id)
        answers: dict[tuple[str, str], Answer | BackendAIError] = {}
        for (engine, cluster), job_ids in wanted.items():
            try:
                answers[engine, cluster] = await self._backends[engine].read_usage(job_ids, cluster)
            except BackendAIError as exc:
                log.info("The accounting of %s does not answer; %s sessions wait for it: %s", engine, len(job_ids), exc)
                answers[engine, cluster] = exc
        return answers

    async def _settle(self, due: Due, answers: Mapping[tuple[str, str], Answer | BackendAIError], at: float) -> bool:
        answer = answers.get((due.engine, due.cluster)) if due.job_id else None
        is_answered = not isinstance(answer, BackendAIError)
        accounted = answer.get(due.job_id) if answer is not None and not isinstance(answer, BackendAIError) else None
        used = decide_usage(
            _read_records(due),
            at - due.released_at.timestamp(),
            accounted,
            is_asked=answer is not None,
            is_answered=is_answered,
            user=due.posix_name,
            wait_s=self._settings.bill_wait_s,
        )
        if used is None:
            return False
        found = await self._db.run_exclusive(ledger.settle, due.session_id, used, datetime.fromtimestamp(at, UTC))
        if found:
            log.info("Session %s is charged %s for %s s, from %s", due.session_id, found.charge - found.refund, used.seconds, used.source)
        return found is not None

    # -- credit that runs out

    async def watch(self, at: float) -> list[str]:
        """Warn people whose sessions use the last of a credit, and end them when it is used up; the sessions that were told to end."""
        ended: list[str] = []
        for found in await self._db.run(credit.list_credits, datetime.fromtimestamp(at, UTC)):
            left_s = seconds_left(found.balance, found.running, self._billing.currency)
            await self._announce(found, left_s, at)
            if left_s == 0:
                ended += [consumer.session_id for consumer in found.consumers if await self._end(consumer)]
        return ended

    async def _announce(self, found: Credit, left_s: int | None, at: float) -> None:
        """The pages warn from the first mark on; a mail at each mark."""
        mark = find_mark(left_s, self._billing.warnings_s)
        ends_at = datetime.fromtimestamp(at + (left_s or 0), UTC) if mark is not None else None
        for consumer in found.consumers:
            foreseen = consumer.ends_at.timestamp() if consumer.ends_at else None
            if not is_same(ends_at.timestamp() if ends_at else None, foreseen):
                await self._db.run_exclusive(ends.foresee, consumer.session_id, ends_at, kinds.CREDIT)
        if mark != found.warned_s and await self._db.run_exclusive(credit.take_mark, found.account, mark):
            log.warning("The credit of %s is used up in %s s", found.account, left_s)
            self._write(WARNING, found.consumers, left_s or 0)

    async def _end(self, consumer: Consumer) -> bool:
        if consumer.is_batch:
            await self._db.run_exclusive(batch.tell_to_end, consumer.session_id, CREDIT_USED_UP)
            self._runner.wake()
            return True
        if not consumer.is_running:
            return False  # one that waits may be paid for by the time that it starts
        if not await self._db.run_exclusive(idle.tell_to_end, consumer.session_id, CREDIT_USED_UP, "session.end-credit"):
            return False
        try:
            status, _ = await self._hub.stop_server(consumer.user, consumer.server_name)
        except BackendAIError:
            status = 503
        if status in STOPPING:
            log.info("Session %s of %s is ended: %s", consumer.session_id, consumer.user, CREDIT_USED_UP)
            self._write(ENDED, [consumer])
            return True
        log.warning("The hub did not end session %s of %s (status %s)", consumer.session_id, consumer.user, status)
        await self._db.run_exclusive(idle.take_back, consumer.session_id)
        return False

    def _write(self, kind: str, consumers: Sequence[Consumer], left_s: int = 0) -> None:
        """One mail to each person."""
        if not self._mail.is_on:
            return
        for user, own in credit.list_people(consumers).items():
            first = own[0]
            if first.email:
                language = first.language or i18n.DEFAULT_LANGUAGE
                names = [consumer.name for consumer in own]
                self._mail.post(write_mail(kind, language, self._settings, user, first.email, names, left_s))


def _read_records(due: Due) -> Used:
    """What the platform's own records say of a session that is over."""
    seconds = max(0, int((due.ended_at - due.began_at).total_seconds())) if due.began_at else 0
    return Used(seconds, is_node_failure=is_node_failure(due.reason))
