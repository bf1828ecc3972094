from jupyterhub_backendai.core.queues import Queue


def test_the_label_falls_back_to_english_then_to_the_name():
    queue = Queue("jupyter", "slurm", labels={"en": "Jupyter (free)", "ko": "주피터 (무료)"})
    assert [queue.label(language) for language in ("ko", "en", "de")] == ["주피터 (무료)", "Jupyter (free)", "Jupyter (free)"]
    assert Queue("jupyter", "slurm").label("ko") == "jupyter"


def test_the_account_of_a_project():
    queue = Queue("paid", "slurm", accounts={"prj001": "acc1", "*": "rest"})
    assert [queue.account(project) for project in ("prj001", "other", "")] == ["acc1", "rest", "rest"]
    assert Queue("free", "slurm").account("prj001") == ""
