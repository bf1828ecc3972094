"""The page "Data": one's folders, who shares them, what they use, and what can be done with each."""

from . import admin, create, folder, forms, ownership, sharing
from . import list as list_

default_handlers = [route for module in (list_, create, forms, sharing, ownership, folder, admin) for route in module.default_handlers]
