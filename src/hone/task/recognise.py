"""Which kind of rows a source holds, and in which columns: by the columns' names first, then by a sample of the cells.

Stands between opening a source and reading its rows. Where several kinds fit, the first of this order is taken:

1. chat: `messages` or `conversations` that hold lists of messages, or a `prompt` and `completion` that do; `turns` of a user
   and a system or assistant.
2. tag: `tokens` with `ner_tags`, `tags` or `labels`.
3. choice: a question with its choices, in a list or in columns A, B, C, and the right one, where there are no `prompt` and
   `completion`, nor `instruction` and `output`.
4. classify: `question` and `answer` with a `label` of 0 and 1, true and false or yes and no, which says whether the answer is right.
   answers: `question` and `context` with `answers`, or with an `answer` that stands in the context.
5. completion: `prompt` and `completion`, `instruction` and `output`, `source` and `target`, `question` and `answer`,
   a document and its summary, and their like. `input` with an `output` of a few short values is left to 9. Also two columns
   that are called by languages (`en`, `de`), and two columns of texts in two languages, whatever they are called.
6. score: a `label` of numbers that are not all whole.
7. multi_label: a text with labels in lists, or separated by ; or |.
8. score: `score`, `similarity` or `rating` in numbers that are not all whole, where nothing is called label.
9. classify: what `infer_columns` finds. Beside a `text`, columns such as `title` or `licence` are no labels.
10. plain: a `text` by itself.

The one surprise: some layouts are recognised in order to be refused, before all others (`refuse`): preferences, minimal pairs and rows
with several examples. So is multiple choice whose choices or right ones cannot be told.
"""

import itertools
from collections.abc import Callable, Sequence

from hone.core.errors import BadData, did_you_mean
from hone.task.choice_layout import find_choice
from hone.task.dialogues import SYSTEM_COLUMNS, read_messages
from hone.task.infer import JUDGED, is_verdict
from hone.task.kinds import Kind
from hone.task.layout import Layout, Sheet, Wish
from hone.task.nested import holds_list, holds_objects
from hone.task.profile import profile_column
from hone.task.refuse import refuse_lettered, refuse_minimal_pairs, refuse_nested, refuse_preferences
from hone.task.rejects import Unusable
from hone.task.text_layouts import find_classify, find_label_score, find_multi_label, find_plain, find_score
from hone.task.translations import find_translation

__all__ = ["recognise"]

_MESSAGES = ("messages", "conversations", "conversation")
_TOKENS = ("tokens", "words")
_TAGS = ("ner_tags", "tags", "labels", "pos_tags", "ner", "chunk_tags")
_CONTEXTS = ("context", "passage", "paragraph")
_PROMPTS_FIRST = (
    (("prompt",), ("completion", "response")),
    (("instruction", "definition"), ("output", "response", "completion", "targets")),
)
_DOCUMENTS = ("document", "dialogue", "article", "text", "body")
_PROMPTS_LATER = (
    (("source",), ("target",)),
    (("src", "source_text", "source_sentence"), ("tgt", "trg", "target_text", "target_sentence")),
    (("text", "sentence", "original", "source", "input"), ("translation", "translated", "translated_text")),
    (("inputs",), ("targets",)),
    (("question",), ("answer", "answers", "response")),
    (_DOCUMENTS, ("summary", "highlights")),
)
_PROMPTS_OR_CLASSES = (
    (("input",), ("output", "target")),
    (("query",), ("response", "answer")),
    (("context",), ("continuation",)),
)
_PAIRS = (*_PROMPTS_FIRST, *_PROMPTS_LATER, *_PROMPTS_OR_CLASSES)
_MORE_PROMPT = ("input", "inputs", "context", "passage", "paragraph")
_SHORT_ANSWER = 20
_CORRECT = ("label", "is_correct", "correct")

_LAYOUTS = (
    "text + label; text + labels (lists); text + score; prompt + completion; instruction + input + output; question + answer; "
    "question + choices (options; A, B, C) + answer; source + target; document (dialogue, article, text, body) + summary (highlights); "
    "messages; conversations; turns; tokens + ner_tags (tags, labels); question + context + answers; text alone"
)

_Rule = Callable[[Sheet, Wish], Layout | None]


def recognise(sheet: Sheet, wish: Wish) -> Layout:
    """The kind and columns of a source; what the user named is taken as it is.

    Raises:
        BadData: a named column is not there, nothing fits, or the rows are preferences, or multiple choice that cannot be read.
    """
    named = (wish.prompt, wish.completion, *wish.text, wish.label)
    for name in named:
        if name is not None and name not in sheet.headers:
            raise BadData(
                f"There is no column '{name}'. {did_you_mean(name, [header for header in sheet.headers if header])} Name one of these."
            )
    if not any(named) and wish.kind is None:
        refuse_preferences(sheet)
        refuse_minimal_pairs(sheet)
        refuse_nested(sheet)
    if wish.kind is not None:
        rules: tuple[_Rule, ...] = _BY_KIND[wish.kind]
    elif wish.prompt or wish.completion:
        rules = _BY_KIND["completion"]
    elif wish.text or wish.label:
        rules = _OF_TEXT
    else:
        rules = _ALL
    for rule in rules:
        if (layout := rule(sheet, wish)) is not None:
            return layout
    raise _nothing_fits(sheet, wish)


def _chat(sheet: Sheet, wish: Wish) -> Layout | None:
    system = sheet.find(SYSTEM_COLUMNS)
    if wish.text:
        return Layout("chat", wish.text, None, system, "as named")
    if (messages := sheet.find(_MESSAGES)) and (wish.kind or holds_objects(sheet.cells(messages))):
        return Layout("chat", (messages,), None, system)
    if (turns := sheet.find(("turns",))) and holds_objects(sheet.cells(turns)) and _are_messages(sheet, turns):
        return Layout("chat", (turns,), None, system, "since its speakers are a user and a system")
    prompt, completion = sheet.find(("prompt",)), sheet.find(("completion",))
    if prompt and completion and holds_objects(sheet.cells(prompt)) and holds_objects(sheet.cells(completion)):
        return Layout("chat", (prompt, completion), None, system, "since both hold messages")
    return None


def _are_messages(sheet: Sheet, column: str) -> bool:
    """Whether most rows are dialogues with an answer to learn: turns of two people are none."""
    rows = sheet.rows((column,))
    return sum(map(_is_dialogue, rows, itertools.repeat(column))) > 0.5 * len(rows)


def _is_dialogue(row: Sequence[object], column: str) -> bool:
    try:
        read_messages(row, (column,), None)
    except Unusable:
        return False
    return True


def _tag(sheet: Sheet, wish: Wish) -> Layout | None:
    tokens, tags = wish.text[0] if wish.text else sheet.find(_TOKENS), wish.label or sheet.find(_TAGS)
    if not tokens or not tags:
        return None
    are_lists = holds_list(sheet.cells(tokens)) and holds_list(sheet.cells(tags))
    if not wish.kind and not are_lists and (wish.text or not _same_words(sheet, tokens, tags)):
        return None
    return Layout("tag", (tokens,), tags, why="as named" if wish.text and wish.label else "by the columns' names")


def _same_words(sheet: Sheet, tokens: str, tags: str) -> bool:
    """Whether both columns hold words between blanks, as many in the one as in the other."""
    pairs = sheet.rows((tokens, tags))
    texts = [(one.split(), other.split()) for one, other in pairs if isinstance(one, str) and isinstance(other, str)]
    return sum(len(one) == len(other) > 0 for one, other in texts) > 0.5 * len(pairs)


def _judged(sheet: Sheet, wish: Wish) -> Layout | None:
    """Answers of which some are wrong: whether one is right is learnt, and none is to be written."""
    label = sheet.find(_CORRECT)
    if not label or not sheet.find(JUDGED[0]) or not sheet.find(JUDGED[1]) or not is_verdict(sheet.cells(label)):
        return None
    return find_classify(sheet, wish)


def _answers(sheet: Sheet, wish: Wish) -> Layout | None:
    question, context = wish.text if len(wish.text) == 2 else (sheet.find(("question",)), sheet.find(_CONTEXTS))
    if not question or not context:
        return None
    if answers := wish.label or sheet.find(("answers",)):
        return Layout("answers", (question, context), answers)
    if (answer := sheet.find(("answer",))) and (wish.kind or _stands_inside(sheet, answer, context)):
        return Layout("answers", (question, context), answer, why="since the answers stand in the contexts")
    return None


def _stands_inside(sheet: Sheet, answer: str, context: str) -> bool:
    pairs = [(str(one), str(other)) for one, other in sheet.rows((answer, context))]
    # 'yes' and 'A' stand in many a context without being taken from it.
    return sum(len(one) > 3 and one in other for one, other in pairs) > 0.5 * len(pairs) > 0


def _completion(sheet: Sheet, wish: Wish, *, pairs: Sequence[tuple[tuple[str, ...], tuple[str, ...]]] = _PAIRS) -> Layout | None:
    if wish.prompt and wish.completion:
        return Layout("completion", (wish.prompt,), wish.completion, why="as named")
    for prompts, completions in pairs:
        prompt, completion = wish.prompt or sheet.find(prompts), wish.completion or sheet.find(completions)
        if not prompt or not completion or prompt == completion:
            continue
        if (prompts, completions) in _PROMPTS_OR_CLASSES and not wish.kind and _repeats(sheet, completion):
            continue
        more = sheet.find(_MORE_PROMPT) if prompts[0] in ("instruction", "question") and not wish.prompt else None
        return Layout("completion", (prompt, more) if more and more != completion else (prompt,), completion)
    return None


def _repeats(sheet: Sheet, column: str) -> bool:
    profile = profile_column(column, sheet.cells(column))
    return profile.distinct >= 2 and profile.repeats >= 3 and profile.mean_length <= _SHORT_ANSWER


def _choice(sheet: Sheet, wish: Wish) -> Layout | None:
    """Multiple choice, unless a prompt says everything already: instructions often list the choices too."""
    if _completion(sheet, wish, pairs=_PROMPTS_FIRST) is not None:
        return None
    found = find_choice(sheet, wish)
    if found is None and not (wish.text or wish.label):
        refuse_lettered(sheet)
    return found


_ALL: tuple[_Rule, ...] = (
    _chat, _tag, _choice, _judged, _answers, _completion, find_translation, find_label_score, find_multi_label, find_score, find_classify, find_plain,
)  # fmt: skip
_OF_TEXT: tuple[_Rule, ...] = (_tag, find_label_score, find_multi_label, find_score, find_classify, find_plain)
_BY_KIND: dict[Kind, tuple[_Rule, ...]] = {
    "classify": (find_classify,), "completion": (_completion, find_translation), "chat": (_chat,), "plain": (find_plain,), "tag": (_tag,),
    "answers": (_answers,), "score": (find_score,), "multi_label": (find_multi_label,), "choice": (find_choice,),
}  # fmt: skip


def _nothing_fits(sheet: Sheet, wish: Wish) -> BadData:
    columns = ", ".join(header for header in sheet.headers if header) or "none with a name"
    what = f"No columns fit the kind '{wish.kind}'" if wish.kind else "No known layout fits"
    return BadData(
        f"{what}. The columns are: {columns}. Known layouts: {_LAYOUTS}. "
        "Rename the columns, or name them with --prompt and --completion, or --text and --label."
    )
