"""One sitting of the review: the photos, what is decided about them, and the window."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from atelier.commands import number_of
from pipeline.options import SettingsError
from pipeline.review import exchange, screen
from pipeline.review.ahead import Ahead
from pipeline.review.photos import Photo, ordered, photos
from pipeline.review.state import REASONS, State, begin, counts
from pipeline.review.view import Look
from pipeline.rows.decisions import (
    Decision,
    Journal,
    file_in,
    in_force,
    load_decisions,
    undoable_steps,
)
from pipeline.rows.manifest import Row
from pipeline.stages.crop import Recipe


@dataclass(frozen=True)
class Sitting:
    """Everything that the review is given."""

    store: Path
    rows: Sequence[Row]  # what came into Crop
    places: Mapping[str, Row]  # photo id -> the row that says where it lies
    recipe: Recipe
    read: Callable[[Row], bytes]  # the bytes of a photo, from its place

    @property
    def journal(self) -> Journal:
        return Journal(file_in(self.store))

    @property
    def decided(self) -> list[Decision]:
        """Every decision so far."""
        return load_decisions(file_in(self.store))

    def photos(self) -> list[Photo]:
        return photos(self.rows, self.places, self.recipe, self.decided)


def check_screen() -> None:
    """Raise SettingsError without a screen: OpenCV would end the process."""
    if not screen.there():
        name = os.environ.get("DISPLAY")
        said = f"none answers at DISPLAY = {name}" if name else "DISPLAY is not set"
        raise SettingsError(
            f"the review needs a screen of X11, and {said}: run it on a desktop, or through ssh -X"
        )


def look_through(sitting: Sitting, order: Sequence[str], reasons: Sequence[str]) -> str:
    """Open the window; returns a sentence on what is decided when it is closed."""
    check_screen()
    shown = tuple(ordered(sitting.photos(), order))
    if not shown:
        return "there is no photo to review"
    decided = sitting.decided
    start = begin(
        shown, in_force(decided), tuple(undoable_steps(decided)), tuple(reasons or REASONS)
    )
    return counts_in_words(open_window(sitting, start))


def open_window(sitting: Sitting, start: State) -> State:
    """Run the window. It loads OpenCV, which ends the process where there is no screen."""
    from pipeline.review.window import Window

    portrait, recipe = sitting.recipe.portrait, sitting.recipe
    width, height = recipe.crop.least(recipe.dataset)
    least = math.ceil(width), math.ceil(height)
    look = Look(portrait.face_x, portrait.face_y, least)
    ahead = Ahead(lambda photo: sitting.read(sitting.places[photo.id]))
    return Window(start, sitting.journal, ahead, look).run()


def counts_in_words(state: State) -> str:
    count = counts(state)
    return f"{count.accepted} accepted, {count.refused} refused, {count.left} left"


def export(sitting: Sitting, path: Path) -> str:
    """Write what is accepted; returns a sentence."""
    number, left = exchange.export(path, sitting.photos(), in_force(sitting.decided))
    said = f"; left out: {', '.join(left)}" if left else ""
    return f"{number_of(number, 'photo')} in {path}{said}"


def bring_in(sitting: Sitting, path: Path) -> list[str]:
    """Accept what a file says; returns sentences."""
    before = in_force(sitting.decided)
    number, warnings = exchange.bring_in(path, sitting.photos(), sitting.journal)
    after = in_force(sitting.decided)
    replaced = sum(after.get(photo) != decision for photo, decision in before.items())
    said = f", {replaced} of them decided otherwise before" if replaced else ""
    return [*warnings, f"{number_of(number, 'photo')} accepted{said}"]
