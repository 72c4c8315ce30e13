"""The journal takes changes back exactly: values, and the order of the keys."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from sqlmigrate.lint.schema.journal import Journal, Members, Objects

_KEYS = st.integers(0, 5)
_CHANGES: list[Callable[[Objects[int, int], int], object]] = [
    lambda objects, key: objects.pop(key, None),
    lambda objects, key: objects.setdefault(key, 7),
    lambda objects, key: objects.update({key: 8, key + 1: 9}),
    lambda objects, key: objects.__setitem__(key, 10),
    lambda objects, key: objects.pop(key) if key in objects else None,
]
_Steps = list[tuple[Callable[[Objects[int, int], int], object], int]]
_STEPS = st.lists(st.tuples(st.sampled_from(_CHANGES), _KEYS), max_size=12)


def _objects(keys: list[int]) -> tuple[Journal, Objects[int, int]]:
    journal = Journal()
    return journal, Objects(journal, dict.fromkeys(keys, 0))


@given(st.lists(_KEYS, unique=True), _STEPS)
def test_all_changes_are_taken_back_and_made_again(keys: list[int], steps: _Steps) -> None:
    journal, objects = _objects(keys)
    before = list(objects.items())
    journal.start(records=True)
    for change, key in steps:
        change(objects, key)
    after = list(objects.items())
    values = journal.take_back(0)
    assert list(objects.items()) == before
    assert objects.in_order(objects) == list(objects)
    journal.repeat(0, values)
    assert list(objects.items()) == after
    assert objects.in_order([*objects, 99]) == list(objects)


@given(st.lists(_KEYS, unique=True), _STEPS, _STEPS)
def test_the_later_changes_can_be_taken_back_alone(keys: list[int], first: _Steps, later: _Steps) -> None:
    journal, objects = _objects(keys)
    journal.start(records=True)
    for change, key in first:
        change(objects, key)
    between, mark = list(objects.items()), len(journal.changes)
    for change, key in later:
        change(objects, key)
    journal.take_back(mark)
    assert list(objects.items()) == between


@given(st.sets(_KEYS), st.lists(st.tuples(st.booleans(), _KEYS)))
def test_changes_of_a_set_are_taken_back(start: set[int], steps: list[tuple[bool, int]]) -> None:
    journal = Journal()
    members = Members(journal, start)
    journal.start(records=True)
    for adds, key in steps:
        (members.add if adds else members.discard)(key)
    members |= {1, 2}
    journal.take_back(0)
    assert members == start


def test_nothing_is_recorded_unless_it_is_asked_for() -> None:
    journal, objects = _objects([1])
    objects[2] = 3
    del objects[1]
    assert journal.changes == []


@given(st.lists(_KEYS, unique=True), _STEPS, _STEPS)
def test_the_stored_changes_lead_to_the_same_dict(keys: list[int], first: _Steps, later: _Steps) -> None:
    journal, objects = _objects(keys)
    again = Objects[int, int](Journal())
    for steps in (first, later):
        journal.start(records=True)
        for change, key in steps:
            change(objects, key)
        again.add_delta(objects.delta())
        assert list(again.items()) == list(objects.items())
        assert again.in_order(again) == list(again)


@given(st.lists(_KEYS, unique=True), _STEPS)
def test_changes_that_were_taken_back_are_not_stored(keys: list[int], steps: _Steps) -> None:
    journal, objects = _objects(keys)
    objects.delta()
    journal.start(records=True)
    for change, key in steps:
        change(objects, key)
    journal.take_back(0)
    assert objects.delta() == {}


@given(st.sets(_KEYS), st.lists(st.tuples(st.booleans(), _KEYS)))
def test_the_stored_changes_lead_to_the_same_set(start: set[int], steps: list[tuple[bool, int]]) -> None:
    members = Members(Journal(), start)
    for is_added, key in steps:
        (members.add if is_added else members.discard)(key)
    again = Members(Journal(), start)
    again.add_delta(members.delta())
    assert again == members
    assert members.delta() == {}
