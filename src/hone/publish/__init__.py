"""Passing a run on: its model card in the Hub's format, and the upload.

Takes a finished folder of `hone tune`, `compare` or `pretrain`. Gives a card, and a repository on the Hub.
"""

from hone.publish.cards import renew_card
from hone.publish.upload import Upload, files_to_upload, upload_run

__all__ = ["Upload", "files_to_upload", "renew_card", "upload_run"]
