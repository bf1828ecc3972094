from __future__ import annotations

import pytest

from jupyterhub_backendai.core import reasons
from jupyterhub_backendai.core.reasons import explain_end, explain_pending, explain_refusal, is_foreseeable
from jupyterhub_backendai.core.sessions import JobState, JobStatus


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Resources", "Next in line"),
        ("Priority", "Other jobs are ahead"),
        ("(Priority)", "Other jobs are ahead"),
        ("None", "for the scheduler"),
        ("", "for the scheduler"),
        ("BeginTime", "earliest start"),
        ("Dependency", "another job"),
        ("JobHeldUser", "held by yourself"),
        ("JobHeldAdmin", "held by the centre"),
        ("PartitionTimeLimit", "longer than the queue"),
        ("PartitionNodeLimit", "more nodes"),
        ("ReqNodeNotAvail, UnavailableNodes:jnode01", "not available"),
        ("ReqNodeNotAvail,_May_be_reserved_for_other_job", "not available"),
        ("QOSMaxJobsPerUserLimit", "running jobs"),
        ("QOSMaxSubmitJobPerUserLimit", "as many jobs"),
        ("QOSMaxGRESPerUser", "as much as"),
        ("QOSMaxCpuPerUserLimit", "as much as"),
        ("QOSMaxWallDurationPerJobLimit", "time asked for"),
        ("QOSMaxMemoryPerJob", "one job may have"),
        ("QOSGrpGRES", "Your project uses"),
        ("AssocGrpBillingMinutes", "used up"),
        ("AssocGrpCPUMinutesLimit", "used up"),
        ("AssocGrpCpuLimit", "Your project uses"),
        ("AssocMaxJobsLimit", "running jobs"),
        ("Job's account not permitted to use this partition (amd_a100nv_8 allows paid not free)", "may not use this queue"),
    ],
)
def test_pending_reasons_in_plain_words(reason, words):
    explanation = explain_pending(reason)
    assert words in str(explanation)
    assert explanation.advice


def test_an_unknown_reason_is_shown_as_it_is():
    explanation = explain_pending("<b>SomethingNew</b> 100%")
    assert explanation.params == {"reason": "<b>SomethingNew</b> 100%"}
    assert str(explanation) == "The scheduler says: <b>SomethingNew</b> 100%"


@pytest.mark.parametrize(
    ("words", "plain"),
    [
        ("Batch job submission failed: Requested node configuration is not available", "No node of the queue"),
        ("invalid partition specified: x\nBatch job submission failed: Invalid partition name specified", "does not know this queue"),
        ("Batch job submission failed: Invalid account or account/partition combination specified", "may not use this queue"),
        ("Memory specification can not be satisfied\nRequested node configuration is not available", "so much memory"),
        ("Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)", "longer than the queue"),
        ("Batch job submission failed: Invalid qos specification", "quality of service"),
        ("Batch job submission failed: More processors requested than permitted", "so many CPUs"),
        ("QOSMaxSubmitJobPerUserLimit\nJob violates accounting/QOS policy (job submit limit)", "exceed your limits"),
        ("something else\nhappened", "refused the job: something else happened"),
    ],
)
def test_refusals_in_plain_words(words, plain):
    explanation = explain_refusal(words)
    assert plain in str(explanation)
    assert explanation.params["reason"] == words.replace("\n", " ")


def status(detail: str, **fields) -> JobStatus:
    return JobStatus("1", JobState.FAILED, detail=detail, **fields)


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (status("TIMEOUT", exit_code=0, signal=15), "time limit"),
        (status("OUT_OF_MEMORY", exit_code=0, signal=125), "more memory"),
        (status("NODE_FAIL"), "node of the session failed"),
        (status("PREEMPTED"), "higher priority"),
        (status("CANCELLED", ended_by=10001), "from your account"),
        (status("CANCELLED", ended_by=0), "by an administrator"),
        (status("CANCELLED"), "was cancelled."),
        (status("FAILED", exit_code=3), "exit code 3"),
        (status("FAILED", exit_code=0, signal=9), "signal 9"),
        (status("FAILED"), "server failed"),
        (JobStatus("1", JobState.DONE, detail="COMPLETED", exit_code=0), "server ended"),
        (JobStatus("1", JobState.GONE), "does not remember"),
        (status("SOMETHING_NEW"), "SOMETHING_NEW"),
    ],
)
def test_ends_in_plain_words(job, words):
    assert words in str(explain_end(job, 10001))


# Every word that a pending job's reason can be, from Slurm 22.05 to 24.11; families of limits by a few of each.
ALL_REASONS = """
None Priority Dependency Resources PartitionNodeLimit PartitionTimeLimit PartitionDown PartitionInactive JobHeldAdmin BeginTime Licenses
AssociationJobLimit AssociationResourceLimit AssociationTimeLimit Reservation ReqNodeNotAvail JobHeldUser FrontEndDown SchedDefer NodeDown
BadConstraints SystemFailure JobLaunchFailure NonZeroExitCode RaisedSignal TimeLimit InactiveLimit InvalidAccount InvalidQOS
QOSUsageThreshold QOSJobLimit QOSResourceLimit QOSTimeLimit Cleaning Prolog QOSNotAllowed AccountNotAllowed DependencyNeverSatisfied
QOSGrpCpuLimit QOSGrpCPUMinutesLimit QOSGrpCPURunMinutesLimit QOSGrpJobsLimit QOSGrpMemLimit QOSGrpNodeLimit QOSGrpSubmitJobsLimit
QOSGrpWallLimit QOSMaxCpuPerJobLimit QOSMaxCpuMinutesPerJobLimit QOSMaxNodePerJobLimit QOSMaxWallDurationPerJobLimit QOSMaxCpuPerUserLimit
QOSMaxJobsPerUserLimit QOSMaxNodePerUserLimit QOSMaxSubmitJobPerUserLimit QOSMinCpuNotSatisfied QOSMinGRES QOSMaxGRESPerNode QOSGrpEnergy
AssocGrpJobsLimit AssocGrpMemRunMinutes AssocGrpGRES AssocGrpBilling AssocMaxJobsLimit AssocMaxCpuPerJobLimit AssocMaxSubmitJobLimit
AssocMaxWallDurationPerJobLimit AssocMaxGRESPerJob AssocMaxBBPerNode AssocMaxEnergyMinutesPerJob JobHoldMaxRequeue JobArrayTaskLimit
BurstBufferResources BurstBufferStageIn BurstBufferOperation PowerNotAvail PowerReserved MaxCpuPerAccount MaxMemoryPerAccount
MaxGRESPerAccount MaxJobsPerAccount MaxSubmitJobsPerAccount MaxBillingPerAccount DeadLine FedJobLock OutOfMemory MaxMemPerLimit
ReservationDeleted ReservationInvalid Constraints MaxPoweredUpNodes
"""
SENTENCES = [
    "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions",
    "(Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved_for_jobs_in_higher_priority_partitions)",
    "launch failed requeued held",
    "user env retrieval failed requeued held",
    "job requeued in held state",
    "Reserved for maintenance",
]


@pytest.mark.parametrize("reason", [*ALL_REASONS.split(), *SENTENCES])
def test_every_reason_of_slurms_has_words_and_advice(reason):
    explanation = explain_pending(reason)
    assert explanation.params == {}, "it is only shown as it is"
    assert explanation.advice


@pytest.mark.parametrize(
    ("reason", "is_so"),
    [
        ("Resources", True),
        ("(Priority)", True),
        ("ReqNodeNotAvail, UnavailableNodes:n1", True),
        ("", True),
        ("JobHeldUser", False),
        ("QOSMaxJobsPerUserLimit", False),
        ("Dependency", False),
        ("BeginTime", False),
        ("SomethingNew", False),
    ],
)
def test_only_waits_for_room_are_like_those_before(reason, is_so):
    assert is_foreseeable(reason) is is_so


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("SUSPENDED", "suspended"),
        ("COMPLETING", "cleaned up"),
        ("CONFIGURING", "being started"),
        ("REQUEUED", "back into the queue"),
        ("SPECIAL_EXIT", "holds it"),
    ],
)
def test_states_of_living_jobs_by_name(word, part):
    assert part in str(reasons.explain_alive(word))


def test_plain_waiting_and_running_need_no_words():
    assert reasons.explain_alive("RUNNING") is None
    assert reasons.explain_alive("PENDING") is None


@pytest.mark.parametrize("word", ["NODE_FAIL", "PREEMPTED", "RECONFIG_FAIL", "BOOT_FAIL", "LAUNCH_FAILED", "DEADLINE", "OUT_OF_MEMORY"])
def test_ends_by_name(word):
    assert word not in str(reasons.explain_end(JobStatus("7", JobState.FAILED, detail=word)))
