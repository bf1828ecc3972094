from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.store import sessions
from jupyterhub_backendai.store.nodes import NodeUse, list_node_use
from tests.factories import GIB, add_user, make_queue, make_slots, make_spec


async def test_our_sessions_are_counted_on_their_nodes(database):
    await database.run(add_user)
    for name, engine, node in (("a", "slurm", "n1"), ("b", "slurm", "n1"), ("c", "slurm", ""), ("d", "local", "localhost")):
        spec = make_spec(server_name=name, queue=engine, cpu=2)
        await database.run_exclusive(sessions.admit, spec, make_queue(engine, engine, capacity=make_slots(64, 64 * GIB)), None)
        await database.run(sessions.report, spec.session_id, SessionStatus.RUNNING, "", "1", node)
    use = await database.run(list_node_use)
    assert use["slurm", "n1"] == NodeUse(2, ResourceSlots({"cpu": 4, "mem": 2 * GIB, "cuda.device": 0}))
    assert {key: part.sessions for key, part in use.items()} == {("slurm", "n1"): 2, ("slurm", ""): 1, ("local", "localhost"): 1}
