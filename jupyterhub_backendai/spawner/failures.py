"""The one place that turns our errors into the hub's spawn error: the right status, plain text for REST, escaped HTML for pages."""

from __future__ import annotations

from html import escape

from jupyterhub.spawner import SpawnException

from ..errors import N_, BackendAIError
from ..i18n import explain, translate

_HELP = N_("Change what the log complains about, and start again. If it stays, send the log to the help desk.")


class LaunchFailed(SpawnException):
    """A start that was refused or that failed, in the user's language.

    The hub's pages read ``jupyterhub_message`` and ``jupyterhub_html_message``, its REST ``message`` and the status.
    """

    def __init__(self, message: str, html: str, *, status: int, code: str, log_message: str) -> None:
        super().__init__(message, reason=code, message_html=html, log_message=log_message, status_code=status)
        self.jupyterhub_message = message
        self.jupyterhub_html_message = html


def refused(language: str, error: BackendAIError) -> LaunchFailed:
    """The refusal of a request, with every rule that it breaks."""
    lines = [explain(language, violation) for violation in error.violations] or [_explain(language, error)]
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    html = f'<ul class="violations">{items}</ul>' if len(lines) > 1 else f"<p>{escape(lines[0])}</p>"
    return LaunchFailed("\n".join(lines), html, status=error.status, code=_reason(error), log_message=str(error))


def failed(language: str, error: BackendAIError, ending: str, log: str) -> LaunchFailed:
    """A start that came to nothing: why (the job's own ending, if there is one), the end of its log and what to do."""
    message = ending or _explain(language, error)
    html = f"<p>{escape(message)}</p>"
    if log.strip():
        html += f'<p>{escape(translate(language, _HELP))}</p><pre class="job-log">{escape(log)}</pre>'
    return LaunchFailed(message, html, status=error.status, code=_reason(error), log_message=str(error))


def _explain(language: str, error: BackendAIError) -> str:
    """The error, and what to do about it where somebody said so."""
    advice = translate(language, getattr(error, "advice", ""), error.params)
    return f"{explain(language, error)} {advice}".strip()


def _reason(error: BackendAIError) -> str:
    """The error's code as a label of the hub's metrics."""
    return error.code.removeprefix("backendai_")
