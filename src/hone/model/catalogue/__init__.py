"""Which models there are: what is known of each, which fit a task, a machine and a licence, and why the others do not.

`read_wanted` takes the filters, `list_models` and `name_models` answer; `show.py` makes text of it.
"""

from hone.model.catalogue.answer import ListedModel, Listing, Named, free_disk, list_models, listing, name_models
from hone.model.catalogue.choose import Choice, LeftOut, choose
from hone.model.catalogue.configuration import configuration_of
from hone.model.catalogue.hub import HubAnswer, HubModel, HubScore, look_up, search_hub
from hone.model.catalogue.memory_needs import Use, bytes_needed
from hone.model.catalogue.read import find_entries, read_catalogue, read_licences
from hone.model.catalogue.records import CatalogueEntry, Licence, ModelShape, PublishedScore, TrainingData
from hone.model.catalogue.wanted import Wanted, read_wanted

__all__ = [
    "CatalogueEntry",
    "Choice",
    "HubAnswer",
    "HubModel",
    "HubScore",
    "LeftOut",
    "Licence",
    "ListedModel",
    "Listing",
    "ModelShape",
    "Named",
    "PublishedScore",
    "TrainingData",
    "Use",
    "Wanted",
    "bytes_needed",
    "choose",
    "configuration_of",
    "find_entries",
    "free_disk",
    "list_models",
    "listing",
    "look_up",
    "name_models",
    "read_catalogue",
    "read_licences",
    "read_wanted",
    "search_hub",
]
