import pytest

from jupyterhub_backendai.backends import connect
from jupyterhub_backendai.backends.slurm_slots import list_slots, parse_gres_names, parse_license_names
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.slots import SlotKind

NODES = """NodeName=a Arch=x86_64 Gres=gpu:v100:2(S:0-1),shard:v100:16 GresUsed=gpu:v100:0(IDX:N/A),craynetwork:1 State=IDLE
NodeName=b Gres=(null) State=IDLE
NodeName=c Gres=bandwidth:lustre:no_consume:4G,gpu:2(S:0,1),FPGA:1 Comment=Gres_like
"""
LICENSES = """LicenseName=matlab Total=10 Used=0 Free=10 Reserved=0 Remote=no
LicenseName=ansys@flex Total=5 Used=1 Free=4 Reserved=0 Remote=yes
"""


def test_names():
    assert parse_gres_names(NODES) == {"gpu", "shard", "bandwidth", "FPGA"}
    assert parse_license_names(LICENSES) == {"matlab", "ansys"}
    assert parse_license_names("No licenses configured in Slurm.\n") == set()
    assert list_slots(["gpu", "shard", "FPGA", "bad name"], ["matlab"]) == dict.fromkeys(
        ["gres.fpga", "gres.shard", "license.matlab"], SlotKind.COUNT
    )


@pytest.mark.slurm
async def test_what_the_lab_has(tmp_path):
    backend = connect(BackendAI(state_dir=str(tmp_path), hub_id="slots", helper_socket=str(tmp_path / "none")), "slurm")
    assert await backend.slot_kinds() == {"gres.shard": SlotKind.COUNT}
