"""The page "Data": one's folders, who shares them, what they use, and what can be done with each."""

from . import create, folder, forms
from . import list as list_

default_handlers = [*list_.default_handlers, *create.default_handlers, *forms.default_handlers, *folder.default_handlers]
