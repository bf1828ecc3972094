import json
from dataclasses import replace

from jupyterhub_backendai.core.queues import GPUFigures, Queue, QueueFigures, figures_to_json
from jupyterhub_backendai.core.slots import ResourceSlots


def test_the_label_falls_back_to_english_then_to_the_name():
    queue = Queue("jupyter", "slurm", labels={"en": "Jupyter (free)", "ko": "주피터 (무료)"})
    assert [queue.label(language) for language in ("ko", "en", "de")] == ["주피터 (무료)", "Jupyter (free)", "Jupyter (free)"]
    assert Queue("jupyter", "slurm").label("ko") == "jupyter"


def test_the_account_of_a_project():
    queue = Queue("paid", "slurm", accounts={"prj001": "acc1", "*": "rest"})
    assert [queue.account(project) for project in ("prj001", "other", "")] == ["acc1", "rest", "rest"]
    assert Queue("free", "slurm").account("prj001") == ""


def test_a_row_of_figures_is_plain_json():
    row = QueueFigures("gpu", nodes_idle=2, gpus=(GPUFigures("v100", 8, 3, 4),), max_slots=ResourceSlots({"cpu": 4}))
    data = json.loads(json.dumps(figures_to_json(row)))
    assert data["gpus"] == [{"type": "v100", "total": 8, "free": 3, "per_node": 4}]
    assert data["max_slots"] == {"cpu": "4"}
    assert figures_to_json(replace(row, nodes_idle=3))["nodes_idle"] == 3
