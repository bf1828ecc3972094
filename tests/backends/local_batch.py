"""Batch jobs of the local engine as an ordinary account runs them: ``python local_batch.py DIRECTORY``; the answers as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from jupyterhub_backendai.backends.base import JobRequest
from jupyterhub_backendai.backends.local import LocalBackend
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.sessions import JOB_OVER, Admission
from jupyterhub_backendai.core.slots import ResourceSlots


def make_job(number: int, script: str, time_s: int = 0) -> JobRequest:
    session_id = f"{number:032x}"
    admission = Admission(session_id, "local", "small", "small", "", "p", "default", "", ResourceSlots(), "", time_s, (1, 3))
    return JobRequest(admission, {"BACKENDAI_SESSION_ID": session_id}, [sys.executable], "job", script=script, user="김 01")


async def finish(backend: LocalBackend, job: JobRequest, job_id: str, *, cancel: bool = False) -> dict[str, object]:
    session_id, give_up = job.admission.session_id, time.monotonic() + 20
    while time.monotonic() < give_up:
        status = await backend.status(session_id, job_id, None)
        if status.state in JOB_OVER:
            log = await backend.read_log(job_id, None, session_id)
            return {"state": status.state.value, "detail": status.detail, "code": status.exit_code, "signal": status.signal, "log": log}
        if cancel and "ready" in await backend.read_log(job_id, None, session_id):
            await backend.cancel(job_id, None, session_id)
            cancel = False
        await asyncio.sleep(0.05)
    raise AssertionError(f"{session_id} does not end")


async def main(base: Path) -> None:
    settings = BackendAI(state_dir=str(base))
    backend = LocalBackend(settings)
    good = make_job(1, 'echo "한글 $BACKENDAI_SESSION_ID"\npython -c "import sys; print(sys.prefix)"\npwd; echo $CUDA_VISIBLE_DEVICES; cat')
    bad = make_job(2, "echo oops >&2\nsleep 300 &\nexit 7")
    late = make_job(3, "sleep 300", time_s=1)
    ended = make_job(4, "echo ready; sleep 300")
    jobs = {"good": good, "bad": bad, "late": late, "ended": ended}
    ids = {name: await backend.submit(job) for name, job in jobs.items()}
    longer = make_job(7, "sleep 1.3; echo done", time_s=1)
    jobs["longer"], ids["longer"] = longer, await backend.submit(longer)
    await backend.extend(ids["longer"], None, 300, longer.admission.session_id)
    again = {name: await backend.submit(job) for name, job in jobs.items()}
    found = {name: await finish(LocalBackend(settings), job, ids[name], cancel=name == "ended") for name, job in jobs.items()}
    lost = make_job(5, "echo lost")
    found["never"] = {"state": (await backend.status(lost.admission.session_id, "", None)).state.value}
    missing = replace(make_job(6, "true"), command=["/no/such/python"])
    found["missing"] = await finish(backend, missing, await backend.submit(missing))
    found["same"] = {name: ids[name] == again[name] or again[name] == "0-0" for name in ids}
    found["twice"] = await backend.submit(good)
    print(json.dumps(found))


asyncio.run(main(Path(sys.argv[1])))
