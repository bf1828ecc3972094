"""Every private name of JupyterHub and Jupyter Server that we touch, and what we believe of it. A new version that changes one fails here."""

import asyncio
import inspect

import pytest
from jupyter_server.serverapp import ServerApp
from jupyterhub import apihandlers, app
from jupyterhub.handlers import base
from jupyterhub.spawner import SimpleLocalProcessSpawner, Spawner
from jupyterhub.user import User
from jupyterhub.utils import format_exception, maybe_future

from jupyterhub_backendai.errors import QuotaExceeded, Violation
from jupyterhub_backendai.spawner import failures, ports, spawner


@pytest.fixture
def plain():
    return SimpleLocalProcessSpawner()


def test_spawn_pending_is_a_pending_spawn(plain):
    plain._spawn_pending = True
    assert (plain.pending, plain.ready, plain.active) == ("spawn", False, True)


def test_check_pending_is_a_pending_check_and_cleared_after_it(plain):
    plain._check_pending = True
    assert plain.pending == "check"
    assert "spawner._check_pending = False" in inspect.getsource(app.JupyterHub.init_spawners)


async def test_a_failed_spawn_future_is_a_failed_spawner(plain):
    plain._spawn_future = asyncio.get_running_loop().create_future()
    plain._spawn_future.set_exception(ValueError())
    assert plain._failed


def test_waiting_for_response_is_cleared_by_wait_up():
    assert Spawner._waiting_for_response is False
    assert "spawner._waiting_for_response = False" in inspect.getsource(User._wait_up)


def test_options_are_applied_after_the_overrides_and_before_the_hook():
    source = inspect.getsource(User.spawn)
    places = [
        source.index(name) for name in ("apply_group_overrides(", "_run_apply_user_options(", "run_pre_spawn_hook(", "spawner.start(")
    ]
    assert places == sorted(places)


def test_the_hub_commits_between_the_hook_and_the_first_line_of_start():
    source = inspect.getsource(User.spawn)
    begun = source.index("f = maybe_future(spawner.start())")
    assert begun < source.index("db.commit()", begun) < source.index("await asyncio.wait_for(", begun)

    async def start():
        begun.append(True)

    async def spawn():
        begun.clear()
        future = maybe_future(start())
        assert not begun
        await future

    begun = []
    asyncio.run(spawn())
    assert begun


def test_the_server_is_a_property_that_the_hub_asks_first():
    assert Spawner.server.fget
    assert Spawner.server.fset
    assert "if spawner.server:" in inspect.getsource(app.JupyterHub.init_spawners)


def test_wait_up_is_a_coroutine_of_the_user():
    assert inspect.iscoroutinefunction(User._wait_up)
    assert list(inspect.signature(User._wait_up).parameters) == ["self", "spawner"]


def test_the_hub_still_owns_the_traits_that_we_hand_down(plain):
    assert [name for name in spawner.HUB_OWNED if not plain.has_trait(name)] == []


def test_the_proxy_is_the_applications():
    assert "self.proxy = " in inspect.getsource(app.JupyterHub.init_proxy)


def test_the_post_stop_hook_runs_on_every_way_to_an_end():
    assert inspect.getsource(User.stop).index("finally:") < inspect.getsource(User.stop).index("run_post_stop_hook")


def test_the_list_of_api_handlers_holds_ours_once_and_the_hub_reads_that_list():
    ports.install()
    assert [handler for path, handler in apihandlers.default_handlers if path == ports.PATH] == [ports.PortHandler]
    assert "apihandlers.default_handlers" in inspect.getsource(app.JupyterHub.init_handlers)
    with pytest.raises(RuntimeError, match="nothing"):
        ports.check_routes([])
    with pytest.raises(RuntimeError, match="PortHandler, PortHandler"):
        ports.check_routes([("/hub" + ports.PATH, ports.PortHandler)] * 2)


def test_the_token_of_a_request_is_an_orm_object():
    assert callable(base.BaseHandler.get_token)


def test_jupyter_server_opens_its_socket_where_we_put_ours():
    source = inspect.getsource(ServerApp.init_httpserver) + inspect.getsource(ServerApp._bind_http_server)
    assert "self._find_http_port()" in source
    assert "self._bind_http_server_tcp()" in source
    assert "self.http_server.listen" in inspect.getsource(ServerApp._bind_http_server_tcp)


def test_the_pages_and_rest_read_our_error():
    error = failures.refused("en", QuotaExceeded(violations=[Violation("%(what)s <", {"what": "a"}), Violation("b")]))
    assert format_exception(error, only_jupyterhub=True) == ("a <\nb", '<ul class="violations"><li>a &lt;</li><li>b</li></ul>')
    assert (error.status_code, error.message, error.reason) == (412, "a <\nb", "session_quota-exceeded")


def test_start_has_no_limit_whatever_the_site_sets():
    from traitlets.config import Config

    outer = spawner.BackendAISpawner(config=Config({"Spawner": {"start_timeout": 60}}))
    assert outer.start_timeout == spawner.TEN_YEARS_S


def test_polling_is_a_callback_object_that_the_hub_only_stops():
    assert "self._poll_callback.stop()" in inspect.getsource(Spawner.stop_polling)
    assert "PeriodicCallback" in inspect.getsource(Spawner.start_polling)
