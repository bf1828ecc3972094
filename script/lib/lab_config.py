"""The example configuration on the lab's Slurm and LDAP (``script/lab``): what a centre changes in ``jupyterhub_config.py``."""

import os
import sys
from pathlib import Path

c = get_config()  # noqa: F821
load_subconfig(str(Path(__file__).resolve().parents[2] / "jupyterhub_config.py"))  # noqa: F821

lab = os.environ.get("BACKENDAI_LAB") or "/var/tmp/backendai-lab"
c.JupyterHub.services[0]["command"][-1] = str(Path(__file__).resolve())

# -- people: LDAP over StartTLS, the server's certificate is checked
c.BackendAI.directory = "ldap"
c.BackendAI.ldap_servers = ["ldap://127.0.0.1:3890", "ldaps://127.0.0.1:3891"]
c.BackendAI.ldap_ca_file = f"{lab}/ldap/tls/ca.pem"
c.BackendAI.ldap_bind_dn = "cn=hub,ou=services,dc=cm,dc=cluster"
c.BackendAI.ldap_bind_password_file = str(Path(c.BackendAI.state_dir, "ldap-password"))
c.BackendAI.ldap_user_base = "ou=people,dc=cm,dc=cluster"
c.BackendAI.ldap_group_base = "ou=project,dc=cm,dc=cluster"
c.BackendAI.allowed_groups = ["jhub-users"]
c.BackendAI.admin_groups = ["jhub-admins"]
c.BackendAI.admin_users = []
c.BackendAI.project_groups = {f"prj{number:03d}": f"prj{number:03d}" for number in range(1, 9)}

# -- queues: partitions of Slurm; nodes, GPUs and times come from Slurm itself
prices = {"cpu": "10", "cuda.device:v100": "500", "cuda.device:a100": "1500"}
paid = {"engine": "slurm", "is_free": False, "accounts": {"*": "paid"}, "prices": prices}
c.BackendAI.queues = [
    {
        "name": "jupyter",
        "engine": "slurm",
        "labels": {"en": "jupyter (free)", "ko": "jupyter (무료)"},
        "descriptions": {"en": "Set-up, preprocessing, debugging", "ko": "환경 설치, 전처리, 디버깅"},
        "accounts": {"*": "free"},
        "max_slots": {"cpu": 10, "mem": 96 * 1024**3, "cuda.device": 2},
        "extension_time_s": 4 * 3600,
    },
    {"name": "cas_v100_4", "labels": {"en": "cas_v100_4", "ko": "cas_v100_4"}, **paid},
    {"name": "cas_v100_2", "labels": {"en": "cas_v100_2", "ko": "cas_v100_2"}, **paid},
    {"name": "amd_a100nv_8", "labels": {"en": "amd_a100nv_8", "ko": "amd_a100nv_8"}, **paid},
    {"name": "bigmem", "labels": {"en": "bigmem", "ko": "bigmem"}, **paid},
]
c.BackendAI.user_root = f"{lab}/scratch/{{user}}"
c.BackendAI.helper_socket = os.environ.get("BACKENDAI_HELPER_SOCKET") or "/run/jupyterhub-backendai/helper.sock"

# -- how jobs are submitted: BACKENDAI_SUBMIT is helper, sudo or rest; script/run makes ready what each needs
c.BackendAI.slurm_submit = os.environ.get("BACKENDAI_SUBMIT") or "helper"
if c.BackendAI.slurm_submit == "helper":
    # everybody's files are their own; each hub has a directory, because what is in it belongs to that hub's database
    c.BackendAI.storage_hosts = [{"name": "local:volume1", "path": f"{lab}/folders/{c.BackendAI.hub_id}", "description": "Scratch"}]
once = [sys.executable, "-I", "-m", "jupyterhub_backendai.helper.once", "--options"]
c.BackendAI.slurm_sudo_command = [*once, os.environ.get("BACKENDAI_SUBMIT_OPTIONS") or "/run/jupyterhub-backendai/submit.options"]
c.BackendAI.slurm_sudo_operator = c.BackendAI.slurm_rest_operator = "slurm"
c.BackendAI.slurm_rest_url = f"http://127.0.0.1:{6820 + int(os.environ.get('BACKENDAI_LAB_SHIFT') or 0)}"
c.BackendAI.slurm_rest_key_file = str(Path(c.BackendAI.state_dir, "jwt_hs256.key"))
if "SLURM_CONF" in os.environ:  # a second lab
    c.JupyterHub.services[0]["environment"]["SLURM_CONF"] = os.environ["SLURM_CONF"]

# -- containers, where the lab's Docker Engine is up: its one image is empty, and this machine's programs are read-only directories in it
if "BACKENDAI_DOCKER_URL" in os.environ:
    c.BackendAI.docker_url = os.environ["BACKENDAI_DOCKER_URL"]
    c.BackendAI.queues.append(
        {
            "name": "containers",
            "engine": "docker",
            "labels": {"en": "Containers", "ko": "컨테이너"},
            "descriptions": {"en": "One machine, any image", "ko": "한 대의 서버, 다양한 이미지"},
            "capacity": {"cpu": 4, "mem": 8 * 1024**3},
            "allowed_session_types": ["interactive"],
        }
    )
    c.BackendAI.environments = [
        {"name": "default", "labels": {"en": "Default", "ko": "기본"}, "image": "backendai-lab:host", "command": [sys.executable]}
    ]
    c.DockerLauncher.read_only_volumes = {path: path for path in ("/usr", "/etc/ld.so.cache", str(Path(sys.prefix).parent))}
