"""The review as a state machine: a key or the mouse -> the new state, and what was decided.

It knows no window and no file. Keys are words: `enter`, `left`, `shift+left`, `x`, `1`, `+`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Literal, NamedTuple

from atelier.boxes import Box
from pipeline.review import box as boxes
from pipeline.review.photos import Photo
from pipeline.rows.decisions import REFUSED, Decision, undone

REASONS = (
    "blurred",
    "face covered",
    "hand at the face",
    "turned away",
    "wrong pose",
    "several people",
    "text or logo",
    "no person",
    "bad light",
)
ARROWS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
WAYS = {"a": -1, ",": -1, "d": 1, ".": 1}
ROOM = 1.25  # zoomed in, so much more than the box is seen
STEPS = 200  # an arrow goes this part of the photo's longer side
SCALE = 1.04
NO_BOX = Box(0, 0, 0, 0)

Step = tuple[Decision, Decision | None]  # a decision, and what held before it


@dataclass(frozen=True)
class State:
    """Everything that the window shows and the next key depends on."""

    photos: tuple[Photo, ...]
    held: Mapping[str, Decision]  # photo id -> the decision in force
    done: tuple[Step, ...] = ()  # what can be undone, oldest first
    reasons: tuple[str, ...] = REASONS
    at: int = 0
    box: Box = NO_BOX
    kept: tuple[Box, ...] = ()  # further portraits of this photo
    candidate: int = 0
    mode: Literal["edit", "reason", "help", "quit"] = "edit"
    guides: bool = False
    zoom: Box | None = None  # the part of the photo on the screen, where it is not all
    grip: str = ""  # what the mouse does: move the box, pull its corner, draw a new one
    anchor: tuple[int, int] = (0, 0)  # where it holds it, or the corner that stays
    message: str = ""

    @property
    def photo(self) -> Photo:
        return self.photos[self.at]

    @property
    def decision(self) -> Decision | None:
        """What holds for the photo on the screen."""
        return self.held.get(self.photo.id)

    @property
    def step(self) -> int:
        """Pixels of the photo that an arrow goes: finer while zoomed in."""
        whole = self.box if self.zoom else self.photo
        return max(1, round(max(whole.width, whole.height) / STEPS))


class Reply(NamedTuple):
    """The new state, and the decision that is to be on the disk before it is shown."""

    state: State
    decision: Decision | None = None


@dataclass(frozen=True)
class Counts:
    """How far the review is."""

    accepted: int = 0
    refused: int = 0
    left: int = 0


def counts(state: State) -> Counts:
    actions = [held.action for p in state.photos if (held := state.held.get(p.id))]
    accepted, refused = actions.count("accept"), actions.count("refuse")
    return Counts(accepted, refused, len(state.photos) - accepted - refused)


def begin(
    photos: tuple[Photo, ...],
    held: Mapping[str, Decision],
    done: tuple[Step, ...] = (),
    reasons: tuple[str, ...] = REASONS,
) -> State:
    """Start at the first photo that is not decided."""
    state = State(photos, held, done, reasons)
    first = next((i for i, p in enumerate(photos) if p.id not in held), 0)
    state = shown(state, first)
    return said_when_done(state)


def shown(state: State, at: int) -> State:
    """Go to a photo: its decided rectangle, or its proposal."""
    photo = state.photos[at]
    decision = state.held.get(photo.id)
    rectangles = decision.rectangles if decision and decision.rectangles else photo.candidates[:1]
    return replace(
        state,
        at=at,
        box=rectangles[0],
        kept=rectangles[1:],
        candidate=0,
        mode="edit",
        grip="",
        message="",
        zoom=None,
    )


def press(state: State, key: str) -> Reply:
    """What a key does."""
    if key == "q":
        return Reply(replace(state, mode="quit"))
    if state.mode == "help":
        return Reply(replace(state, mode="edit"))
    if state.mode == "reason":
        return choose_reason(state, key)
    state = replace(state, message="")
    match key:
        case "enter":
            return accept(state)
        case "u":
            return undo(state)
        case "x":
            return Reply(replace(state, mode="reason"))
        case "?":
            return Reply(replace(state, mode="help"))
    return Reply(gone(state, key) if key in WAYS else edited(state, key))


def gone(state: State, key: str) -> State:
    """The photo before or after this one, decided or not."""
    return shown(state, min(max(state.at + WAYS[key], 0), len(state.photos) - 1))


def edited(state: State, key: str) -> State:
    """What a key does to the box or to its view."""
    photo = state.photo.whole
    if key.removeprefix("shift+") in ARROWS:
        return pushed(state, key)
    match key:
        case "+" | "=":
            return replace(state, box=boxes.scaled(state.box, SCALE, photo))
        case "-":
            return replace(state, box=boxes.scaled(state.box, 1 / SCALE, photo))
        case "tab":
            return next_candidate(state)
        case "space":
            return keep(state)
        case "g":
            return replace(state, guides=not state.guides)
        case "z":
            return replace(state, zoom=None if state.zoom else boxes.scaled(state.box, ROOM, photo))
    return state


def pushed(state: State, key: str) -> State:
    x, y = (state.step * way for way in ARROWS[key.removeprefix("shift+")])
    change = boxes.resized if key.startswith("shift+") else boxes.moved
    return replace(state, box=change(state.box, x, y, state.photo.whole))


def next_candidate(state: State) -> State:
    """The next box to choose from: those kept, then the proposals."""
    choice = tuple(dict.fromkeys([*state.kept, *state.photo.candidates]))
    at = (choice.index(state.box) + 1) if state.box in choice else state.candidate
    at %= len(choice)
    return replace(state, box=choice[at], candidate=at, message=f"box {at + 1} of {len(choice)}")


def keep(state: State) -> State:
    """Take the box as one of several portraits of this photo, or let go of it."""
    if state.box in state.kept:
        return replace(state, kept=tuple(box for box in state.kept if box != state.box))
    return replace(state, kept=(*state.kept, state.box), message="kept: choose the next box")


def accept(state: State) -> Reply:
    rectangles = tuple(sorted({state.box, *state.kept}))
    return decide(state, Decision(state.photo.id, state.photo.path, "accept", rectangles))


def choose_reason(state: State, key: str) -> Reply:
    """A digit refuses for that reason; x or Enter again for none; all else goes back."""
    if key in ("x", "enter"):
        reason = REFUSED
    elif key.isdigit() and 1 <= int(key) <= len(state.reasons):
        reason = state.reasons[int(key) - 1]
    else:
        return Reply(replace(state, mode="edit"))
    refused = Decision(state.photo.id, state.photo.path, "refuse", (), reason)
    return decide(state, refused)


def decide(state: State, decision: Decision) -> Reply:
    """Note the decision, and go to the next photo that has none."""
    before = state.held.get(decision.photo)
    held = {**state.held, decision.photo: decision}
    state = replace(state, held=held, done=(*state.done, (decision, before)))
    following = next(undecided(state), min(state.at + 1, len(state.photos) - 1))
    return Reply(said_when_done(shown(state, following)), decision)


def undecided(state: State) -> Iterator[int]:
    """The numbers of the photos without a decision, from this one on, then from the start."""
    around = chain(range(state.at, len(state.photos)), range(state.at))
    return (i for i in around if state.photos[i].id not in state.held)


def likely(state: State) -> list[Photo]:
    """The photos that the next keys may show, the likeliest first."""
    others = (i for i in undecided(state) if i != state.at)
    numbers = [*islice(others, 2), state.at + 1, state.at - 1, state.at + 2, state.at - 2]
    known = [i for i in dict.fromkeys(numbers) if 0 <= i < len(state.photos)]
    return [state.photos[i] for i in known]


def said_when_done(state: State) -> State:
    left = counts(state).left
    return state if left else replace(state, message="all photos are decided: q saves and quits")


def undo(state: State) -> Reply:
    """Take the last decision back, also one of an earlier session, and show its photo."""
    if not state.done:
        return Reply(replace(state, message="nothing to undo"))
    *rest, (decision, before) = state.done
    line = undone(decision, before)
    held = {photo: d for photo, d in state.held.items() if photo != decision.photo}
    held |= {decision.photo: before} if before else {}
    state = replace(state, held=held, done=tuple(rest))
    at = next((i for i, p in enumerate(state.photos) if p.id == decision.photo), None)
    if at is None:  # it is not in this order
        return Reply(replace(state, message=f"undone: {decision.path}"), line)
    return Reply(replace(shown(state, at), message="undone"), line)


def point(state: State, event: str, x: int, y: int, reach: int = 0) -> State:
    """What the mouse does at a point of the photo; `reach`: how near counts as at a corner."""
    if state.mode != "edit":
        return replace(state, mode="edit") if event == "down" else state
    match event:
        case "down":
            return grasped(state, x, y, reach)
        case "up":
            return replace(state, grip="")
        case "wheel up":
            return edited(state, "+")
        case "wheel down":
            return edited(state, "-")
    return dragged(state, x, y)


def dragged(state: State, x: int, y: int) -> State:
    photo = state.photo.whole
    by = x - state.anchor[0], y - state.anchor[1]
    if state.grip == "move":
        return replace(state, box=boxes.moved(state.box, *by, photo), anchor=(x, y))
    if state.grip == "corner" or (state.grip == "draw" and max(map(abs, by)) >= boxes.LEAST):
        return replace(state, box=boxes.between(state.anchor, (x, y), photo))
    return state


def grasped(state: State, x: int, y: int, reach: int) -> State:
    """A corner is dragged, the box is moved, or a new one is drawn from here."""
    if name := boxes.corner(state.box, x, y, reach):
        return replace(state, grip="corner", anchor=boxes.opposite(state.box, name))
    if boxes.inside(state.box, x, y):
        return replace(state, grip="move", anchor=(x, y))
    return replace(state, grip="draw", anchor=(x, y))
