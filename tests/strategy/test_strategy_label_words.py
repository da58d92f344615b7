"""Labels as words: readable, and never the same for two labels."""

import pytest

from hone.strategy.label_words import described, label_words


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("order_change", "order change"),
        ("OrderChange", "Order Change"),
        ("order-change/refund", "order change refund"),
        ("card2Card", "card2 Card"),
        ("FAQ", "FAQ"),
        ("__init__", "init"),
        ("Größe_ändern", "Größe ändern"),
        ("___", "___"),
        ("7", "7"),
        ("-1", "-1"),
        ("18-25", "18-25"),
        ("already plain words", "already plain words"),
    ],
)
def test_a_label_is_put_into_words(label: str, words: str):
    assert label_words([label]) == {label: words}


def test_a_description_follows_the_label_and_an_empty_one_is_none():
    assert described("order change", "The customer wants something else.") == "order change: The customer wants something else."
    assert described("order change", "") == described("order change", None) == "order change"


@pytest.mark.parametrize(
    "labels", [("-1", "0", "1"), ("A/B", "A-B", "C_D"), ("not_spam", "Not Spam"), ("a", "A"), ("spam-", "spam")]
)
def test_no_two_labels_have_the_same_words(labels: tuple[str, ...]):
    words = label_words(labels)
    assert list(words) == list(labels) and len({text.casefold() for text in words.values()}) == len(
        {label.casefold() for label in labels}
    )
    assert len(set(words.values())) == len(labels)


def test_only_labels_whose_words_would_be_the_same_stay_as_they_are():
    assert label_words(("A/B", "A-B", "C_D")) == {"A/B": "A/B", "A-B": "A-B", "C_D": "C D"}
