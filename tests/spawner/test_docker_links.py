"""Links that the engine makes as root, before a container runs."""

from types import SimpleNamespace

import pytest

from jupyterhub_backendai.core.vfolder_mounts import Mount
from jupyterhub_backendai.errors import InvalidParameters
from jupyterhub_backendai.spawner.launchers.docker import DockerLauncher, check_links


@pytest.mark.parametrize("place", ["/home/work/kept", "/home/work/kept/input", "/data/x"])
def test_nothing_in_the_sites_own_mounts_gives_way_to_a_link(place):
    with pytest.raises(InvalidParameters):
        check_links(["/home/work/free", place], ["/home/work/kept", "/data/"])


def test_places_of_the_image_do():
    check_links(["/home/work/kept2", "/home/work/in"], ["/home/work/kept", "/home/work/in/put"])


async def test_it_is_asked_before_there_is_a_container(monkeypatch):
    launcher = DockerLauncher(user=SimpleNamespace(name="kim01", escaped_name="kim01"), volumes={"/srv/kept": "/home/work"})
    mount = Mount("f" * 32, "data", "/x/data/in", "in", False, "in")
    monkeypatch.setattr(DockerLauncher, "admission", SimpleNamespace(mounts=(mount,), posix=None), raising=False)
    with pytest.raises(InvalidParameters):
        await launcher.create_object()
