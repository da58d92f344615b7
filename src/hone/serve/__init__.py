"""Stage 6 of 6: SERVE. Takes a bundle. Gives answers: to a text, or to a file."""

from hone.serve.predict import predict_file

__all__ = ["predict_file"]
