"""What is remembered of the responses of pages, and for how many."""

from __future__ import annotations

from headstart.middleware.habits import Habits

STYLES = frozenset({"style"})


def test_page_that_was_not_seen_is_taken_to_be_as_the_sites_last_one() -> None:
    habits = Habits()
    habits.note_guarded("https://a.example", "/", STYLES)

    assert habits.guarded("https://a.example", "/") == STYLES
    assert habits.guarded("https://a.example", "/other") == STYLES
    assert habits.guarded("https://b.example", "/") == frozenset()


def test_page_that_was_seen_is_as_it_was() -> None:
    habits = Habits()
    habits.note_guarded("https://a.example", "/", STYLES)
    habits.note_guarded("https://a.example", "/open", frozenset())

    assert habits.guarded("https://a.example", "/") == STYLES
    assert habits.guarded("https://a.example", "/open") == frozenset()
    assert habits.guarded("https://a.example", "/other") == frozenset()


def test_url_whose_last_two_answers_were_no_page_is_none_until_it_is_one_again() -> None:
    habits = Habits()
    url = "https://a.example/feed"
    seen = []
    for status, is_page in ((302, False), (503, False), (302, False), (200, True), (404, False)):
        habits.note_answer(url, status, is_page=is_page)
        seen.append(habits.is_other(url))

    assert seen == [False, False, True, False, False]


def test_a_page_that_answers_some_clients_otherwise_is_still_one() -> None:
    habits = Habits()
    url = "https://a.example/"
    habits.note_answer(url, 200, is_page=True)
    seen = []
    for _ in range(8):
        habits.note_answer(url, 302, is_page=False)
        seen.append(habits.is_other(url))

    assert seen == [False] * 7 + [True]


def test_so_many_pages_and_sites_are_remembered() -> None:
    habits = Habits(max_pages=2, max_sites=1)
    for number in range(3):
        habits.note_guarded(f"https://{number}.example", "/", STYLES)
        habits.note_hints(f"https://{number}.example/", True)

    guarded = [bool(habits.guarded(f"https://{number}.example", "/")) for number in range(3)]
    hints = [habits.hints(f"https://{number}.example/") for number in range(3)]
    assert guarded == hints == [False, True, True]


def test_application_that_hints_no_more_is_waited_for_no_more() -> None:
    habits = Habits()
    habits.note_hints("https://a.example/", True)
    before = habits.hints("https://a.example/")
    habits.note_hints("https://a.example/", False)

    assert before
    assert not habits.hints("https://a.example/")
