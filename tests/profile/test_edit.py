"""A manifest that is there, and one recording more."""

from __future__ import annotations

from careen.formats import digest as digests
from careen.profile.edit import with_kept, with_scenario
from careen.profile.schema import Drop, Image, Keep, Profile, Scenario

HERE, THERE = Image(digest=digests.of(b"here")), Image(digest=digests.of(b"there"))
BEFORE = Profile(
    scenarios=(Scenario(name="a", image=HERE, opened=("/old",)), Scenario(name="b")),
    keep=Keep(packages=("p",), paths=("/k",), why={"/k": "people said so"}),
    drop=Drop(paths=("/d",)),
)


def test_a_scenario_takes_the_place_of_its_own_alone() -> None:
    new = Scenario(name="a", image=Image(name="x", digest=HERE.digest), opened=("/new",))
    after = with_scenario(BEFORE, new)
    assert after.scenarios == (Scenario(name="b"), new)
    assert (after.keep, after.drop) == (BEFORE.keep, BEFORE.drop)


def test_a_later_image_of_the_platform_takes_the_place_too() -> None:
    new = Scenario(name="a", image=THERE, opened=("/new",))
    assert with_scenario(BEFORE, new).scenarios == (Scenario(name="b"), new)


def test_on_another_platform_it_stands_beside() -> None:
    arm = Image(digest=THERE.digest, platform="linux/arm64")
    new = Scenario(name="a", image=arm, opened=("/new",))
    assert with_scenario(BEFORE, new).scenarios == (*BEFORE.scenarios, new)


def test_what_people_keep_keeps_its_reason() -> None:
    keep = with_kept(BEFORE, ["/k", "/n/**"], "kubescape a").keep
    assert keep.paths == ("/k", "/n/**")
    assert keep.why == {"/k": "people said so", "/n/**": "kubescape a"}
    assert keep.packages == ("p",)
