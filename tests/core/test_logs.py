"""A log as a page shows it."""

import pytest

from jupyterhub_backendai.core.logs import clean_log


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain\n한글 로그\ttab\n", "plain\n한글 로그\ttab\n"),
        ("\x1b[31mred\x1b[0m \x1b[1;32;40mgreen\x1b[m", "red green"),
        ("\x1b]0;a title\x07text \x1b]8;;http://x\x1b\\link", "text link"),
        ("10%\r 50%\r100%\ndone\r\n", "100%\ndone\n"),
        ("bar\r\r   \rnext", "next"),
        ("\ufffd\ufffd글 자르기", "글 자르기"),
        ("a\x00b\x07c\x08d\x7f", "abcd"),
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("<script>alert(1)</script> & \x1b", "<script>alert(1)</script> & "),
        ("", ""),
    ],
)
def test_it_is_text_and_nothing_else(raw, shown):
    assert clean_log(raw) == shown
