"""Stage 6 of 6: SERVE. Takes the winner of a comparison or a tuned run. Gives answers: to texts, or to a file."""

from hone.serve.answering import load_answering
from hone.serve.predict import predict_file

__all__ = ["load_answering", "predict_file"]
