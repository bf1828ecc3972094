from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_backendai.core.sessions import Admission, LaunchRequest, parse_request
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.core.vfolder_mount_plans import Surroundings, plan_mounts, refresh_mounts
from jupyterhub_backendai.core.vfolder_mounts import (
    MOST_MOUNTS,
    Mount,
    MountRequest,
    format_again,
    format_mount,
    format_mounts,
    parse_mount,
    parse_mounts,
)
from jupyterhub_backendai.core.vfolders import Access, Folder, FolderStatus, OwnershipType, Permission, UsageMode
from jupyterhub_backendai.errors import InvalidParameters
from tests.factories import make_slots

AT = datetime(2026, 11, 21, tzinfo=UTC)
ME, PROJECT, OTHER = "a" * 32, "b" * 32, "c" * 32
HOST = "/srv/folders"


def ask(text):
    return parse_mounts(text)


def make_access(name, permission=Permission.READ_WRITE_DELETE, source="owner", *, project="", number=0, **fields):
    scope = f"project:{project}" if project else f"user:{ME}"
    folder = Folder(
        id=f"{name.encode().hex():0>28}"[-28:] + f"{number:04x}",
        name=name,
        host=fields.pop("host", "local"),
        quota_scope_id=scope,
        status=fields.pop("status", FolderStatus.READY),
        usage_mode=UsageMode.GENERAL,
        ownership_type=OwnershipType.PROJECT if project else OwnershipType.USER,
        permission=permission,
        domain="default",
        creator="x",
        cloneable=False,
        created_at=AT,
        status_changed_at=AT,
        user_id="" if project else ME,
        project_id=project,
        project={PROJECT: "bio", OTHER: "chem"}.get(project, ""),
    )
    return Access(folder, permission, "project" if project else source)


def plan(text, *accesses, engine="slurm", **fields):
    values = {"paths": {"local": HOST}, "mountable": frozenset({"local"}), **fields}
    around = Surroundings(engine=engine, project=PROJECT, project_name="bio", user_id=ME, **values)
    return plan_mounts(ask(text), accesses, around)


def targets(found):
    return [mount.target for mount in found.mounts]


def words(found):
    return [str(violation) for violation in found.violations]


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("data", MountRequest("data")),
        ("data/in/2026", MountRequest("data", "in/2026")),
        ("data//in/./x/", MountRequest("data", "in/x")),
        ("data:input", MountRequest("data", "", "input")),
        ("data:input:ro", MountRequest("data", "", "input", "ro")),
        ("data:ro", MountRequest("data", mode="ro")),
        ("data:wd", MountRequest("data", mode="rw")),
        ("data:ro:", MountRequest("data", "", "ro")),
        ("data:/home/work/in", MountRequest("data", "", "in")),
        ("data:/mnt2//x", MountRequest("data", "", "/mnt2/x")),
        (r"data/a\:b\,c\\d:e", MountRequest("data", r"a:b,c\d", "e")),
        ("data/실험 1:결과", MountRequest("data", "실험 1", "결과")),
    ],
)
def test_a_mount_as_text(text, request_):
    assert parse_mount(text) == request_
    assert parse_mount(format_mount(request_)) == request_


_NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1, max_size=8).filter(
    lambda text: text not in {".", ".."}
)
_PATHS = st.lists(_NAMES, max_size=3).map("/".join)
_REQUESTS = st.builds(
    MountRequest, st.from_regex(r"[a-z0-9][a-z0-9._-]{0,12}", fullmatch=True), _PATHS, _PATHS, st.sampled_from(["", "ro", "rw"])
)


@given(st.lists(_REQUESTS, max_size=5, unique=True))
def test_any_mounts_survive_a_form_and_a_link(requests):
    requests = tuple(requests)
    assert parse_mounts(format_mounts(requests)) == requests
    asked = LaunchRequest("q", slots=make_slots(), mounts=requests)
    assert parse_request(asked.to_options()).mounts == requests


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_in_words(text):
    try:
        requests = parse_mounts(text)
    except ValueError as exc:
        message, *params = exc.args
        assert isinstance(message % (params[0] if params else {}), str)
    else:
        for request in requests:
            assert ".." not in (*request.subpath.split("/"), *request.target.split("/"))
            assert not request.subpath.startswith("/")


@pytest.mark.parametrize(
    "value",
    ["../etc", "data/../../x", "data:../x", "data:a:b:c", "data::x", "/etc", ":x", "data\\", "data/a\x00b", 5, [5], [{"folder": 1}], [{"x": "y"}],
     "data:/home/work", ",".join(f"f{number}" for number in range(MOST_MOUNTS + 1)), "a/" + "x" * 300, {"folder": "data"}],
)  # fmt: skip
def test_what_is_no_mount_is_refused_beside_the_field(value):
    if isinstance(value, dict):
        value = [{**value, "more": "x"}]
    with pytest.raises(InvalidParameters) as caught:
        parse_request({"queue": "q", "mounts": value})
    assert [violation.field for violation in caught.value.violations] == ["mounts"]
    assert str(caught.value.violations[0])


def test_programs_may_send_objects_and_lists():
    value = ["a,b:c", {"folder": "data/x", "subpath": "y", "target": "in", "mode": "ro"}, "a"]
    assert parse_mounts(value) == (MountRequest("a"), MountRequest("b", "", "c"), MountRequest("data", "x/y", "in", "ro"))


def test_a_folder_is_where_its_name_says():
    access = make_access("data")
    [mount] = plan("data", access).mounts
    assert mount == Mount(access.folder.id, "data", f"{HOST}/user-{ME}/{access.folder.id}/data", "data", False)
    [mount] = plan(f"{access.folder.id}/in/x:input:ro", access).mounts
    assert (mount.source, mount.top) == (f"{HOST}/user-{ME}/{access.folder.id}/data/in/x", f"{HOST}/user-{ME}/{access.folder.id}/data")
    assert (mount.target, mount.is_read_only, mount.is_automatic) == ("input", True, False)


def test_reading_only_stays_reading_only():
    shared = make_access("data", Permission.READ_ONLY, "invitation")
    assert plan("data", shared).mounts[0].is_read_only
    found = plan("data:rw", shared)
    assert words(found) == ["You may only read the folder data, so it cannot be mounted for writing."]
    assert found.mounts == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "There is no folder nothing that you may use."),
        ("theirs", "The folder theirs is of the project chem, and this session is for the project bio."),
        ("thrown", "The folder thrown is in the trash."),
        ("half", "The folder half cannot be used right now: it is being made, copied or deleted."),
        ("away", "The storage host gone of the folder away is not in use."),
        ("barred", "You may not use folders of the storage host barred in sessions (mount-in-session)."),
        ("data,data:x", "The folder data would be there twice, whole or in part. Mount what you need of it once."),
        ("data/a:x,data/a/b:y", "The folder data would be there twice, whole or in part. Mount what you need of it once."),
        ("data:x,more:x", "Two folders would be at x. Choose another name for one of them."),
        ("data:x,more:x/y", "x/y would be inside of x, which is another folder."),
        ("data:more", "Another folder of yours is named more. Choose another name for the folder data in this session."),
        ("data:.ssh", "The place .ssh is reserved. Choose another name for the folder in this session."),
        ("data:.bashrc", "The place .bashrc is reserved. Choose another name for the folder in this session."),
        ("data:.backendai/x", "The place .backendai/x is reserved. Choose another name for the folder in this session."),
        ("data:.config/x", "The place .config/x is reserved. Choose another name for the folder in this session."),
        ("data:/data", "Folders are in the session's own directory on this queue; /data is outside of it."),
        ("both", "Several folders are named both. Name the one that you mean by its id."),
    ],
)
def test_what_cannot_be_is_refused_in_words(text, message):
    accesses = (
        make_access("data"),
        make_access("more"),
        make_access("theirs", Permission.READ_WRITE, project=OTHER),
        make_access("thrown", status=FolderStatus.DELETE_PENDING),
        make_access("half", status=FolderStatus.PERFORMING),
        make_access("away", host="gone"),
        make_access("barred", host="barred"),
        make_access("both", Permission.READ_ONLY, "invitation", number=1),
        make_access("both", Permission.READ_ONLY, project=PROJECT, number=2),
    )
    found = plan(text, *accesses, paths={"local": HOST, "barred": "/x"})
    assert words(found) == [message]
    assert {(violation.field, violation.rule) for violation in found.violations} == {("mounts", "mount")}


def test_all_reasons_are_told_at_once():
    assert len(plan("a,b:/etc,data:rw:rw,data:.ssh:rw", make_access("data", Permission.READ_ONLY, "invitation")).violations) == 5


def test_containers_have_places_outside_of_the_home_directory_but_not_the_systems():
    data = make_access("data")
    assert targets(plan("data:/data", data, engine="docker")) == ["/data"]
    assert targets(plan("data:/home/work/in", data, engine="docker")) == ["in"]
    for place in ("/", "/etc", "/etc/x", "/usr/local", "/home/kim01", "/proc"):
        assert plan(f"data:{place}", data, engine="docker").violations, place


def test_ones_own_folder_goes_before_one_of_the_same_name_that_is_shared():
    own, shared = make_access("data", number=1), make_access("data", Permission.READ_WRITE, project=PROJECT, number=2)
    assert plan("data", shared, own).mounts[0].folder_id == own.folder.id
    assert plan(shared.folder.id + ":shared", shared, own).mounts[0].folder_id == shared.folder.id


def test_folders_with_a_dot_come_by_themselves_as_far_as_nothing_is_in_the_way():
    accesses = (
        make_access(".cache"),
        make_access(".linuxbrew"),
        make_access(".tools", Permission.READ_ONLY, "invitation"),
        make_access(".thrown", status=FolderStatus.DELETE_PENDING),
        make_access(".barred", host="barred"),
        make_access(".other", Permission.READ_WRITE, project=OTHER),
        make_access("plain"),
    )
    found = plan("", *accesses)
    assert [(mount.target, mount.is_read_only, mount.is_automatic) for mount in found.mounts] == [
        (".cache", False, True),
        (".linuxbrew", False, True),
        (".tools", True, True),
    ]
    assert targets(plan("", *accesses, engine="docker"))[1] == "/home/linuxbrew/.linuxbrew"
    asked = plan(".cache:ro,plain:.tools2", *accesses)
    assert [(mount.target, mount.is_automatic, mount.is_read_only) for mount in asked.mounts[:1]] == [(".cache", False, True)]
    assert targets(asked) == [".cache", ".tools2", ".linuxbrew", ".tools"]
    assert targets(plan("plain:.linuxbrew/x", *accesses, engine="docker"))[0] == ".linuxbrew/x"


def test_each_member_has_a_part_of_the_projects_local():
    shared = make_access(".local", Permission.READ_WRITE, project=PROJECT)
    [mount] = plan("", shared).mounts
    assert mount.source.endswith(f"/data/{ME}")
    assert (mount.target, mount.is_own_part, mount.is_read_only) == (".local", True, False)
    assert plan(".local", shared).mounts == (mount,)
    assert words(plan(".local/x", shared)) == [
        "Each member has a part of the folder .local of a project; nothing else of it can be mounted."
    ]
    assert plan("", make_access(".local", Permission.READ_ONLY, project=PROJECT)).mounts == ()
    own = make_access(".local", number=7)
    assert [mount.folder_id for mount in plan("", shared, own).mounts] == [own.folder.id]


def test_two_live_sessions_do_not_want_one_link_to_lead_to_two_folders():
    data = make_access("data")
    [mount] = plan("data", data).mounts
    taken = {"data": (mount.source, "first")}
    assert plan("data", data, taken=taken).violations == ()
    other = {"data": ("/elsewhere", "first")}
    assert "Your session first has another folder at data." in words(plan("data", data, taken=other))[0]
    assert plan("data", data, taken=other, engine="docker").violations == ()


def test_what_was_taken_away_while_a_session_waited_is_not_there_when_it_begins():
    rw, ro, gone = make_access("rw"), make_access("ro"), make_access("gone")
    settled = plan("rw,ro,gone", rw, ro, gone).mounts
    now = {rw.folder.id: rw, ro.folder.id: make_access("ro", Permission.READ_ONLY, "invitation")}
    assert [(mount.name, mount.is_read_only) for mount in refresh_mounts(settled, now)] == [("rw", False), ("ro", True)]


def test_the_same_again_asks_for_what_was_asked_for():
    accesses = (make_access("data"), make_access(".cache"))
    text = f"{accesses[0].folder.id}/in/x:input:ro"
    assert format_again(plan(text, *accesses).mounts) == text


def make_admission(**fields):
    return Admission("s" * 32, "slurm", "q", "p", "", "bio", "default", "lab", ResourceSlots(), "", 60, **fields)


def test_an_admission_tells_its_links_and_survives_the_hubs_database():
    mounts = plan("data", make_access("data")).mounts
    admission = make_admission(mounts=mounts, neighbours=("t" * 32,), admitted_at=5.5)
    assert Admission.from_json(admission.to_json()) == admission
    links = admission.describe_links()
    assert links["items"] == [{"source": mounts[0].source, "target": "data", "is_own_part": False}]
    assert (links["live"], links["admitted_at"]) == (["t" * 32], 5.5)
    many = make_admission(admitted_at=5.5, neighbours=tuple(f"{number:032x}" for number in range(1001)))
    assert (many.describe_links()["live"], many.describe_links()["admitted_at"]) == ([], 0.0)
    old = {name: value for name, value in admission.to_json().items() if name not in {"mounts", "neighbours", "admitted_at"}}
    assert Admission.from_json(old).describe_links() == {}
