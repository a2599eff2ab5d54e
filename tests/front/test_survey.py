"""The survey of a scene: which fronts are looked at again, and where."""

import numpy as np
import pytest

from icectl.tasks.front.line.found import Found, Front
from icectl.tasks.front.pose.survey import Proposal, box_around, distinct, rival_of, survey

LINE = np.column_stack([np.full(60, 300.0), np.arange(200.0, 260.0)])


def seen(bearing, answer, shift=(0, 0)):
    return Proposal(Front(LINE + np.array(shift), 0.9, "whole", bearing=bearing), answer)


def test_a_front_that_several_domains_and_directions_see_is_looked_at_once():
    proposals = [
        seen(90.0, 0.8),
        seen(120.0, 0.9, (5, 3)),
        seen(90.0, 0.7, (200, 0)),
        seen(270.0, 0.6),
        seen(90.0, 0.1),
    ]
    kept = list(distinct(proposals, near=24))
    assert [p.answer for p in kept] == [0.9, 0.7, 0.6]  # beside it the same; elsewhere, and backwards, others


def test_a_rival_flows_another_way_and_is_near():
    own = seen(90.0, 0.8)
    others = [own, seen(120.0, 0.8), seen(270.0, 0.4, (50, 0)), seen(180.0, 0.8, (900, 0))]
    assert rival_of(own, others, reach=200) == pytest.approx(0.5)
    assert rival_of(own, others, reach=1000) == 1.0
    assert rival_of(own, [own], reach=200) == 0.0


@pytest.mark.parametrize(
    ("shape", "least", "box"),
    [
        ((1000, 1000), 200, (200, 130, 400, 330)),  # around the middle of the line
        ((1000, 280), 200, (200, 80, 400, 280)),  # moved into the image
        ((150, 1000), 200, (0, 130, 150, 330)),  # no larger than the image
        ((1000, 1000), 50, (241, 171, 359, 289)),  # a long front: twice its extent
    ],
)
def test_the_box_around_a_front(shape, least, box):
    assert box_around(LINE, shape, least) == box


class Search:
    """Stands for the network: each of two fronts of one domain answers in its own direction."""

    FRONTS = ((90.0, (60, 60), 0.99), (270.0, (220, 220), 0.9))

    def __init__(self):
        from icectl.tasks.front.pose.search import Training

        self.training = Training(True, 49.0, 0.0)

    def scale(self, frame):
        return 1.0

    def at(self, image, frame, bearing, quick=False):
        fronts = []
        for own, corner, along in self.FRONTS:
            at = np.argwhere(image == corner[0])  # the front's own grey marks where it lies
            if own == bearing and len(at):
                line = np.column_stack([np.full(80, at[0][0]), at[0][1] + np.arange(80.0)])
                front = Front(
                    line, 0.9, "whole", along=np.full(80, along), length=80, contrast=1, bearing=bearing
                )
                fronts.append(front)
        edge = np.full(image.shape, 0.1 if quick else 0.7, np.float32)
        return Found(tuple(fronts), edge, edge)


def test_all_directions_of_a_domain_count_and_not_the_best_alone():
    rng = np.random.default_rng(0)
    image = rng.random((384, 384)).astype(np.float32)
    for value, column in ((60, 60), (220, 220)):
        image[value, column] = value
    found = survey(image, np.diag([49.0, -49.0]), Search(), [90.0, 270.0], 384, 96, 10)
    assert sorted((front.bearing, *front.line[0]) for front in found.fronts) == [
        (90, 60, 60),
        (270, 220, 220),
    ]
    assert [front.bearing for front in found.fronts] == [90.0, 270.0]  # the surer first
    assert found.edge[60, 100] == np.float32(0.7)  # of the closer look
    assert found.edge[380, 5] == np.float32(0.1)  # of the quick one
    one = survey(image, np.diag([49.0, -49.0]), Search(), [90.0, 270.0], 384, 96, 1)
    assert [front.bearing for front in one.fronts] == [90.0]
