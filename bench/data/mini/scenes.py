"""Draws scenes for the miniature data sets.

A scene has a textured background, one to three shapes, and a short word. Every scene has a word because the paper shows
that encoding an image to latents and decoding it damages text in the known region. OpenCV draws the scenes. OpenCV must
have version 5 or newer, which takes letters from a scalable font. All random values of a scene come from the random
generator or from the seed that the caller passes.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from bench.runtime.seeding import numpy_generator

__all__ = [
    "COLOURS",
    "SHAPES",
    "TEXTURES",
    "WORDS",
    "Scene",
    "Shape",
    "draw_scene",
    "numbered_scene",
    "sample_scene",
]

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

SIDE = 128
"""Side of a drawn scene in pixels. It is twice the side of the items in the mini profile."""

SHAPES = ("circle", "square", "triangle", "star", "ring", "cross", "diamond", "crescent")
TEXTURES = ("plain", "stripes", "diagonals", "checks", "dots", "gradient", "bricks", "clouds", "waves")
COLOURS: dict[str, Colour] = {
    "red": (205, 45, 50),
    "orange": (235, 140, 40),
    "yellow": (240, 215, 70),
    "green": (60, 160, 75),
    "teal": (40, 160, 165),
    "blue": (50, 90, 200),
    "purple": (130, 70, 175),
    "pink": (235, 140, 180),
    "grey": (130, 130, 135),
}
INKS: dict[str, Colour] = {"white": (250, 250, 250), "black": (12, 12, 14)}
_WORD_LISTS = {
    "train": """
        ABLE ACID AGED BAKE BAND BELL BIRD BLUE BOAT BOOK CAFE CAMP CARD CITY CLUB COAT CORN DARK DESK DOOR DUCK
        EAST EXIT FACE FARM FILM FIRE FISH FLAG FOUR GAME GATE GIFT GOLD GRID HALL HAND HILL HOME HOTEL HOUR INCH
        IRON JAZZ JOIN JUMP KEEP KIND KING LAKE LAMP LEFT LIME LOCK LUCK MAIL MAPS MILK MIXED MOON NAVY NEWS NINE
        NORTH OPEN ORAL OVEN PARK PATH PIZZA PLAY POOL PORT QUAD QUIZ RACE RAIN RING ROAD ROCK SALE SALT SHOP SIGN
        SNOW SOUP STAR TAXI TEAM TIME TOWN TREE TUNE UNIT VASE VIEW VOTE WALK WEST WIND WOLF WORK YARD ZERO ZONE
    """,
    "dev": "ARCH BARN CLAY DUNE ECHO FERN GLOW HAZE ISLE JADE KITE LOFT MINT NEST OPAL PLUM RUST SILK TIDE VINE",
    "val": """
        ATOM BIKE COAL DOVE EDGE FORK GRAY HERB ITEM JURY KNOT LION MASK NOTE OATS PINE QUAY ROSE SAND TOYS
        URNS VETO WAVE XRAY YOGA ZINC
    """,
}
WORDS = {split: tuple(words.split()) for split, words in _WORD_LISTS.items()}
"""Words that scenes of each split may contain. No word is in two splits."""


@dataclass(frozen=True)
class Shape:
    kind: str
    colour: str
    centre: tuple[int, int]
    radius: int
    angle: float

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Box around the pixels of the shape that lie in the scene: left, top, right and bottom.

        The values are in pixels. Right and bottom are the first column and row outside the box.
        """
        canvas = np.zeros((SIDE, SIDE, 3), np.uint8)
        _draw_shape(canvas, self)
        rows, columns = (np.flatnonzero(canvas.any(axis=(axis, 2))) for axis in (1, 0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@dataclass(frozen=True)
class Scene:
    """The content of one drawn picture.

    The first shape is the main shape: it is the largest shape, and it is drawn in front of the other shapes.
    """

    texture: str
    ground: tuple[str, str]
    """Names of the background's main and second colour."""
    shapes: tuple[Shape, ...]
    word: str
    ink: str
    word_origin: tuple[int, int]
    """Column and row, in pixels, at which the base line of the word starts."""
    word_scale: float
    texture_seed: int

    @property
    def caption(self) -> str:
        """Description of the scene in lower case, such as "a red circle on green stripes with the word boat"."""
        things = " and ".join(f"a {shape.colour} {shape.kind}" for shape in self.shapes)
        return f"{things} on {self.ground[0]} {self.texture} with the word {self.word.lower()}"

    @property
    def facts(self) -> dict[str, str]:
        """Content of the scene as texts, with the keys `caption`, `texture`, `shape`, `colour` and `word`."""
        return {
            "caption": self.caption,
            "texture": self.texture,
            "shape": self.shapes[0].kind,
            "colour": self.shapes[0].colour,
            "word": self.word,
        }


def sample_scene(generator: np.random.Generator, *, split: str, shape: str, texture: str) -> Scene:
    """Choose a random scene with a given main shape and background texture. No picture is drawn yet.

    Args:
        generator: random generator for all other properties of the scene.
        split: `train`, `dev` or `val`, which determines the possible words.
        shape: kind of the main shape, one of `SHAPES`.
        texture: texture of the background, one of `TEXTURES`.
    """

    def pick(names: tuple[str, ...]) -> str:
        return names[int(generator.integers(len(names)))]

    def between(low: int, high: int) -> int:
        return int(generator.integers(low, high, endpoint=True))

    ground = pick(tuple(COLOURS))
    second = pick(tuple(name for name in COLOURS if name != ground))
    count = int(generator.choice([1, 2, 3], p=[0.45, 0.35, 0.2]))
    shapes = []
    for index in range(count):
        shapes.append(
            Shape(
                kind=shape if index == 0 else pick(SHAPES),
                colour=pick(tuple(name for name in COLOURS if name not in (ground, second))),
                centre=(between(22, SIDE - 22), between(22, SIDE - 22)),
                radius=between(24, 38) if index == 0 else between(11, 20),
                angle=float(generator.uniform(0, 360)),
            )
        )
    word = pick(WORDS[split])
    scale = float(generator.uniform(0.72, 0.95))
    (width, height), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, scale, 2)
    origin = (between(4, max(4, SIDE - width - 4)), between(height + 5, SIDE - 8))
    return Scene(
        texture=texture,
        ground=(ground, second),
        shapes=tuple(shapes),
        word=word,
        ink=pick(tuple(INKS)),
        word_origin=origin,
        word_scale=scale,
        texture_seed=int(generator.integers(2**31)),
    )


def numbered_scene(index: int, seed: int, *, data_set: str, split: str) -> Scene:
    """Return the scene with a given index in a data set.

    In any 72 successive scenes, each main shape appears exactly once on each background texture.

    Args:
        index: index of the scene, from 0 on.
        seed: seed of the data set.
        data_set: name of the data set. Scenes of different data sets differ.
        split: `train`, `dev` or `val`.
    """
    return sample_scene(
        numpy_generator(seed, data_set, split, "scene", index),
        split=split,
        shape=SHAPES[index % len(SHAPES)],
        texture=TEXTURES[index % len(TEXTURES)],
    )


def draw_scene(scene: Scene) -> Pixels:
    """Draw a scene, and return the picture as uint8 RGB of shape (128, 128, 3)."""
    generator = np.random.Generator(np.random.PCG64(scene.texture_seed))
    canvas = _background(scene, generator)
    for shape in reversed(scene.shapes):
        _draw_shape(canvas, shape)
    ink = INKS[scene.ink]
    cv2.putText(canvas, scene.word, scene.word_origin, cv2.FONT_HERSHEY_DUPLEX, scene.word_scale, ink, 2, cv2.LINE_AA)
    return canvas


def _background(scene: Scene, generator: np.random.Generator) -> Pixels:
    first = np.array(COLOURS[scene.ground[0]], np.float32)
    second = 0.55 * np.array(COLOURS[scene.ground[1]], np.float32) + 0.45 * first
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    period = float(generator.uniform(14, 30))
    phase = float(generator.uniform(0, period))
    blend: npt.NDArray[np.float32]
    match scene.texture:
        case "plain":
            blend = np.zeros((SIDE, SIDE), np.float32)
        case "stripes":
            blend = ((rows + phase) % period < period / 2).astype(np.float32)
        case "diagonals":
            blend = ((rows + columns + phase) % period < period / 2).astype(np.float32)
        case "checks":
            squares = (rows + phase) // (period / 2) + (columns + phase) // (period / 2)
            blend = (squares % 2).astype(np.float32)
        case "dots":
            near = ((rows + phase) % period - period / 2) ** 2 + ((columns + phase) % period - period / 2) ** 2
            blend = (near < (period / 3.4) ** 2).astype(np.float32)
        case "gradient":
            angle = float(generator.uniform(0, 2 * np.pi))
            along = np.cos(angle) * rows + np.sin(angle) * columns
            blend = ((along - along.min()) / (along.max() - along.min())).astype(np.float32)
        case "bricks":
            course = (rows + phase) // (period / 2)
            joint = (rows + phase) % (period / 2) < 2.5
            blend = (joint | ((columns + phase + (course % 2) * period / 2) % period < 2.5)).astype(np.float32)
        case "clouds":
            coarse = generator.random((6, 6), dtype=np.float32)
            smooth = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            blend = smooth.clip(0, 1).astype(np.float32)
        case "waves":
            blend = 0.5 + 0.5 * np.sin(2 * np.pi * (rows + 5 * np.sin(columns / 11 + phase)) / period)
        case other:
            raise ValueError(f"texture: expected one of {', '.join(TEXTURES)}, found {other!r}")
    soft = cv2.GaussianBlur(blend, (0, 0), 0.8)[..., None]
    mixed = (1 - soft) * first + soft * second + generator.normal(0, 2.0, (SIDE, SIDE, 1))
    return np.ascontiguousarray(mixed.clip(0, 255).astype(np.uint8))


def _draw_shape(canvas: Pixels, shape: Shape) -> None:
    colour, edge = COLOURS[shape.colour], tuple(int(0.55 * channel) for channel in COLOURS[shape.colour])
    x, y = shape.centre
    match shape.kind:
        case "circle":
            cv2.circle(canvas, (x, y), shape.radius, colour, -1, cv2.LINE_AA)
            cv2.circle(canvas, (x, y), shape.radius, edge, 2, cv2.LINE_AA)
        case "ring":
            cv2.circle(canvas, (x, y), shape.radius, colour, max(5, shape.radius // 3), cv2.LINE_AA)
        case "crescent":
            outer = _arc(shape, 1.0, 0.0, (50, 310))
            inner = _arc(shape, 0.78, 0.42, (305, 55))
            _fill(canvas, np.concatenate([outer, inner]), colour, edge)
        case _:
            _fill(canvas, _corners(shape), colour, edge)


def _corners(shape: Shape) -> npt.NDArray[np.float64]:
    match shape.kind:
        case "square":
            turns, radii = np.arange(4) / 4, np.ones(4)
        case "triangle":
            turns, radii = np.arange(3) / 3, np.ones(3)
        case "diamond":
            turns, radii = np.arange(4) / 4, np.array([1.0, 0.55, 1.0, 0.55])
        case "star":
            turns, radii = np.arange(10) / 10, np.tile([1.0, 0.45], 5)
        case "cross":
            across = np.degrees(np.arctan2(0.33, 1.0))
            turns = np.array([quarter * 90 + offset for quarter in range(4) for offset in (-across, across, 45)]) / 360
            radii = np.tile([1.0, 1.0, 0.42], 4)
        case other:
            raise ValueError(f"shape: expected one of {', '.join(SHAPES)}, found {other!r}")
    angles = 2 * np.pi * turns + np.radians(shape.angle)
    rays: npt.NDArray[np.float64] = radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    return np.array(shape.centre) + shape.radius * rays


def _arc(shape: Shape, scale: float, offset: float, degrees: tuple[int, int]) -> npt.NDArray[np.float64]:
    turn = np.radians(shape.angle)
    angles = np.radians(np.linspace(*degrees, 24)) + turn
    middle = np.array(shape.centre) + shape.radius * offset * np.array([np.cos(turn), np.sin(turn)])
    rays: npt.NDArray[np.float64] = np.stack([np.cos(angles), np.sin(angles)], 1)
    return middle + scale * shape.radius * rays


def _fill(canvas: Pixels, corners: npt.NDArray[np.float64], colour: Colour, edge: tuple[int, ...]) -> None:
    points = np.rint(corners).astype(np.int32)
    cv2.fillPoly(canvas, [points], colour, cv2.LINE_AA)
    cv2.polylines(canvas, [points], True, edge, 2, cv2.LINE_AA)
