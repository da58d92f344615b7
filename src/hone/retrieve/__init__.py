"""Stage 3 of 6: ADAPT, by looking things up. Takes documents. Gives an index of passages, what it finds, and answers from that.

The order is `read_documents`, `Index.build`, `Index.search`, then `evaluate_index` or `answer_from`. Needs the extra `retrieve`.
Imports nothing to its right. Next: `hone.strategy`, which may put passages before a question.
"""

from hone.retrieve.answer import Answer, Citation, answer_from, answer_text, answer_with, cited, shared_words
from hone.retrieve.chunk import Chunk, Chunker, ChunkSettings
from hone.retrieve.documents import Document, Documents, SetAside, read_documents
from hone.retrieve.evaluate import (
    Evaluated,
    Indexed,
    Question,
    Questions,
    evaluate_index,
    holding,
    read_questions,
    scores_table,
)
from hone.retrieve.formats import Heading
from hone.retrieve.index import Index, open_index
from hone.retrieve.prompt import numbered, with_passages
from hone.retrieve.records import MODES, Changes, IndexRecord, IndexSettings, Mode, Passage

__all__ = [
    "MODES",
    "Answer",
    "Changes",
    "Chunk",
    "ChunkSettings",
    "Chunker",
    "Citation",
    "Document",
    "Documents",
    "Evaluated",
    "Heading",
    "Index",
    "IndexRecord",
    "IndexSettings",
    "Indexed",
    "Mode",
    "Passage",
    "Question",
    "Questions",
    "SetAside",
    "answer_from",
    "answer_text",
    "answer_with",
    "cited",
    "evaluate_index",
    "holding",
    "numbered",
    "open_index",
    "read_documents",
    "read_questions",
    "scores_table",
    "shared_words",
    "with_passages",
]
