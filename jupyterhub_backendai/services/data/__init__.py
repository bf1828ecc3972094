"""The page "Data": one's folders, who shares them, what they use, and what can be done with each."""

from . import list as list_

default_handlers = [*list_.default_handlers]
