"""Stage 2 of 6: CHOOSE, which base models there are. Takes filters or a name. Gives what is known of each model, and its checked folder.

`read_wanted` takes the filters, `list_models` and `name_models` answer, `card.py` and `table.py` make text of it; `locate_model` goes from a
name to files that can be trusted. Nothing here loads torch. Next: `hone.model`.
"""

from hone.catalogue.answer import ListedModel, Listing, Named, free_disk, list_models, listing, name_models
from hone.catalogue.choose import Choice, LeftOut, choose
from hone.catalogue.hub import HubAnswer, HubModel, HubScore, look_up, search_hub
from hone.catalogue.locate import STARTERS, ModelFolder, count_parameters, is_on_this_machine, locate_model, without_languages
from hone.catalogue.memory_needs import Use, bytes_needed
from hone.catalogue.read import find_entries, languages_named, read_catalogue, read_licences
from hone.catalogue.records import CatalogueEntry, Licence, ModelShape, PublishedScore, TrainingData
from hone.catalogue.wanted import Wanted, read_wanted

__all__ = [
    "STARTERS",
    "CatalogueEntry",
    "Choice",
    "HubAnswer",
    "HubModel",
    "HubScore",
    "LeftOut",
    "Licence",
    "ListedModel",
    "Listing",
    "ModelFolder",
    "ModelShape",
    "Named",
    "PublishedScore",
    "TrainingData",
    "Use",
    "Wanted",
    "bytes_needed",
    "choose",
    "count_parameters",
    "find_entries",
    "free_disk",
    "is_on_this_machine",
    "languages_named",
    "list_models",
    "listing",
    "locate_model",
    "look_up",
    "name_models",
    "read_catalogue",
    "read_licences",
    "read_wanted",
    "search_hub",
    "without_languages",
]
