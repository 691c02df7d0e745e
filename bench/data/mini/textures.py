"""Draws pictures with textures like those of photographs: with light, blur, film grain, and objects that overlap.

These pictures are used together with real photographs, in the split `val` only. Installed packages contain few
photographs, and many crops of one photograph are not independent. Each picture that is drawn here has a different
source.

Clouds, landscapes and rough surfaces have random structures of many sizes. These structures are modelled on the 1/f²
power spectrum of natural images (Field, "Relations between the statistics of natural images and the response properties
of cortical cells", 1987). Leaves and pebbles hide each other, and their sizes follow a power law, as in the dead leaves
model (Lee, Mumford and Huang, "Occlusion models for natural images", 2001). Surfaces are lit by Lambert's cosine law.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["KINDS", "draw_texture"]

Pixels = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float32]
"""Float32 array of shape (height, width) with one value per pixel, or (height, width, 3) with one colour per pixel.

Colours are RGB in [0, 1].
"""


def draw_texture(kind: str, generator: np.random.Generator, *, width: int, height: int = 128) -> Pixels:
    """Draw one picture, and return it as uint8 RGB of shape (height, width, 3).

    Args:
        kind: what the picture shows, one of `KINDS`.
        generator: random generator for everything in the picture.
        width: width of the picture in pixels.
        height: height of the picture in pixels.

    Raises:
        ValueError: the kind is unknown.
    """
    if kind not in _DRAW:
        raise ValueError(f"texture: expected one of {', '.join(KINDS)}, found {kind!r}")
    return _apply_camera(_DRAW[kind](generator, (height, width)), generator)


def _apply_camera(picture: Field, generator: np.random.Generator) -> Pixels:
    """Give a picture the effects of a camera: white balance, exposure, darker corners, lens blur and grain."""
    height, width = picture.shape[:2]
    balance = generator.uniform(0.92, 1.08, 3) * generator.uniform(0.8, 1.1)
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    vignette = 1 - generator.uniform(0, 0.25) * (rows**2 + columns**2) / 2
    seen = cv2.GaussianBlur(
        (picture * balance * vignette[..., None]).astype(np.float32), (0, 0), generator.uniform(0.4, 1.0)
    )
    grain = generator.normal(0, generator.uniform(0.004, 0.02), (height, width, 1))
    return np.asarray(255 * (seen + grain).clip(0, 1)).astype(np.uint8)


def _fractal(generator: np.random.Generator, shape: tuple[int, int], gain: float, *, stretch: float = 1.0) -> Field:
    """Return a random array with large and small structures, of mean 0 and standard deviation 1.

    The array is a sum of six layers of smooth noise. The structures of each layer have half the size of the structures
    in the previous layer.

    Args:
        generator: random generator for the noise.
        shape: height and width of the array.
        gain: amplitude of each layer relative to the previous layer. A gain of 1 results in the power spectrum 1/f².
        stretch: ratio of the width of the structures to their height.
    """
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(1, 7):
        down = min(height, 2**octave)
        across = min(width, max(2, round(2**octave * width / height / stretch)))
        noise = generator.standard_normal((down + 2, across + 2), dtype=np.float32)
        total += gain**octave * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((total - total.mean()) / total.std(), np.float32)


def _unit(field: Field) -> Field:
    """Scale the values of an array linearly, so that they range from 0 to 1."""
    return np.asarray((field - field.min()) / (np.ptp(field) + np.float32(1e-6)), np.float32)


def _lit(heights: Field, generator: np.random.Generator) -> Field:
    """Return the brightness in [0, 1] of each point of a surface under a light from a random side.

    The brightness is the cosine of the angle between the light and the surface's normal (Lambert's law).

    Args:
        heights: height of the surface at each pixel, in pixels.
        generator: random generator for the direction of the light.
    """
    down, across = np.gradient(heights)
    turn, rise = generator.uniform(0, 2 * np.pi), generator.uniform(0.5, 1.1)
    light = np.array([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)])
    cosine = (light[2] - light[0] * across - light[1] * down) / np.sqrt(1 + across**2 + down**2)
    return np.asarray(cosine.clip(0, 1), np.float32)


def _mixed(share: Field, first: npt.ArrayLike, second: npt.ArrayLike) -> Field:
    """Mix two inputs, separately at each pixel, and return a picture of shape (height, width, 3).

    Args:
        share: share of `second` at each pixel, of shape (height, width). If it is 0, the result is `first`; if it is 1,
            the result is `second`.
        first: an RGB colour or a picture.
        second: an RGB colour or a picture.
    """
    weight = share[..., None]
    return np.asarray((1 - weight) * np.asarray(first) + weight * np.asarray(second), np.float32)


def _colour(generator: np.random.Generator, low: float = 0.15, high: float = 0.85) -> npt.NDArray[np.float64]:
    """Return a random RGB colour that is not very saturated, like the colours of most surfaces.

    Args:
        generator: random generator for the colour.
        low: smallest brightness, in [0, 1], before each channel is changed at random by up to 30 %.
        high: largest brightness, in [0, 1], before the same change.
    """
    return (generator.uniform(low, high) * generator.uniform(0.7, 1.3, 3)).clip(0.03, 0.97)


def _sky(generator: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Draw clouds in a sky that becomes paler towards the horizon. Some pictures have a dark ridge at the bottom."""
    height, width = shape
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None] * np.ones((1, width), np.float32)
    top = np.array([0.2, 0.4, 0.75]) * generator.uniform(0.5, 1.1)
    horizon = np.array([0.85, 0.8, 0.8]) + generator.uniform(-0.15, 0.1, 3)
    clouds = 1 / (1 + np.exp(-3 * (_fractal(generator, shape, 0.75, stretch=2) - generator.uniform(-0.5, 0.8))))
    shade = 0.75 + 0.25 * _unit(_fractal(generator, shape, 0.8))
    picture = _mixed(clouds, _mixed(down, top, horizon), shade[..., None] * np.array([0.97, 0.95, 0.95]))
    ridge = generator.uniform(0.6, 1.3) + 0.06 * _fractal(generator, shape, 0.7)[0]
    ground = _colour(generator, 0.1, 0.3) * (1 + 0.25 * _fractal(generator, shape, 0.95)[..., None])
    return _mixed((down > ridge[None]).astype(np.float32), picture, ground)


def _terrain(generator: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Draw a landscape of random heights, seen from above. Colours depend on the height. Light comes from one side."""
    heights = _fractal(generator, shape, generator.uniform(0.5, 0.65))
    low, middle, high = _colour(generator, 0.15, 0.4), _colour(generator, 0.3, 0.6), _colour(generator, 0.55, 0.9)
    place = (_unit(heights) + 0.05 * _fractal(generator, shape, 0.95)).clip(0, 1)
    colours = _mixed((2 * place).clip(0, 1), low, middle)
    colours = _mixed((2 * place - 1).clip(0, 1), colours, high)
    return colours * (0.25 + 0.9 * _lit(generator.uniform(4, 9) * heights, generator))[..., None]


def _leaves(generator: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Draw leaves that hide each other. Near leaves are brighter, and far leaves are out of focus."""
    height, width = shape
    picture = np.full((height, width, 3), _colour(generator, 0.05, 0.2), np.float32)
    base = generator.uniform((0.25, 0.35, 0.15), (0.6, 0.6, 0.35))
    count = 420
    for number in range(count):
        near = number / count
        if number == count // 2:
            picture = cv2.GaussianBlur(picture, (0, 0), generator.uniform(1, 3)).astype(np.float32)
        size = 5.0 * generator.uniform(0.03, 1) ** -0.5 * (0.6 + 0.6 * near)
        centre = generator.uniform((-5, -5), (width + 5, height + 5))
        colour = (base * generator.uniform(0.6, 1.2) + generator.normal(0, 0.04, 3)) * (0.35 + 0.75 * near)
        _leaf(picture, (float(centre[0]), float(centre[1])), float(size), float(generator.uniform(0, 360)), colour)
    return picture * (0.85 + 0.12 * _fractal(generator, shape, 0.95))[..., None]


def _leaf(
    picture: Field, centre: tuple[float, float], size: float, degrees: float, colour: npt.NDArray[np.float64]
) -> None:
    """Draw one leaf into a picture. The leaf has a bright half, a darker half, and a rib between the halves.

    Args:
        picture: picture of shape (height, width, 3), which is changed in place.
        centre: column and row of the leaf's centre in pixels.
        size: half the length of the leaf in pixels.
        degrees: direction of the rib in degrees; 0 points to the right, and 90 points down.
        colour: RGB colour of the brighter half.
    """
    turn = np.radians(degrees)
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    steps = np.linspace(-1, 1, 9)[:, None]
    rib = np.array(centre) + size * steps * along
    for side, light in ((1, 1.0), (-1, 0.82)):
        edge = rib + side * 0.45 * size * (1 - steps**2) * across
        outline = np.rint(np.concatenate([rib, edge[::-1]])).astype(np.int32)
        cv2.fillPoly(picture, [outline], (light * colour).tolist(), cv2.LINE_8)
    ends = [tuple(int(value) for value in np.rint(end)) for end in (rib[0], rib[-1])]
    cv2.line(picture, ends[0], ends[1], (0.6 * colour).tolist(), 1, cv2.LINE_8)


def _pebbles(generator: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Draw pebbles of many sizes that hide each other. Each pebble is a dome with a rough surface and light on it."""
    height, width = shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    heights = 2 * _fractal(generator, shape, 0.9)
    colours = np.full((height, width, 3), _colour(generator, 0.1, 0.3), np.float32)
    base = _colour(generator, 0.3, 0.6)
    for _ in range(220):
        size, flat = 4.5 * generator.uniform(0.06, 1) ** -0.5, generator.uniform(0.6, 1)
        x, y = generator.uniform((0, 0), (width, height))
        turn = generator.uniform(0, np.pi)
        right = np.cos(turn) * (columns - x) + np.sin(turn) * (rows - y)
        down = (np.cos(turn) * (rows - y) - np.sin(turn) * (columns - x)) / flat
        inside = 1 - (right**2 + down**2) / size**2
        covered = inside > 0
        heights[covered] = (0.9 * size * np.sqrt(inside[covered])).astype(np.float32)
        colours[covered] = base * generator.uniform(0.7, 1.25) + generator.normal(0, 0.03, 3)
    heights = cv2.GaussianBlur(heights, (0, 0), 1.0) + 0.3 * _fractal(generator, shape, 0.95)
    return colours * (0.3 + 0.75 * _lit(heights, generator))[..., None]


def _balls(generator: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Draw balls on a table, with bright spots and soft shadows. The wall behind the table is out of focus."""
    height, width = shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    edge = generator.uniform(0.25, 0.5) * height
    wall = _colour(generator) * (0.8 + 0.2 * cv2.GaussianBlur(_fractal(generator, shape, 0.8), (0, 0), 4)[..., None])
    grain = _fractal(generator, shape, 0.9, stretch=float(generator.uniform(1, 8)))
    table = _colour(generator) * (0.85 + 0.1 * grain[..., None]) * (0.7 + 0.4 * rows / height)[..., None]
    picture = _mixed(((rows - edge) / 3).clip(0, 1), wall, table)
    turn, rise = generator.uniform(-2.6, -0.5), generator.uniform(0.4, 0.9)
    light = np.array([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)])
    for y in sorted(generator.uniform(edge + 8, height - 6, int(generator.integers(3, 7)))):
        size, x = (8 + 22 * (y / height) ** 2) * generator.uniform(0.6, 1.1), generator.uniform(0, width)
        shift = 0.8 * size * light[:2] / (light[2] + 0.3)
        far = ((columns - x + shift[0]) / (1.1 * size)) ** 2 + ((rows - y - 0.75 * size) / (0.4 * size)) ** 2
        picture *= (1 - 0.6 * np.exp(-(far**2)))[..., None]
        right, down = (columns - x) / size, (rows - y) / size
        inside = 1 - right**2 - down**2
        depth = np.sqrt(inside.clip(0))
        cosine = (light[0] * right + light[1] * down + light[2] * depth).clip(0, 1)
        bright = 2 * cosine * depth - light[2]
        shine = generator.uniform(0.1, 0.7) * bright.clip(0, 1) ** 20
        ball = _colour(generator)[None, None] * (0.18 + 0.85 * cosine)[..., None] + shine[..., None]
        picture = _mixed((size * inside / 2).clip(0, 1), picture, ball)
    return picture


def _wood(generator: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Draw a board whose grain runs from one side to the other."""
    rows = np.arange(shape[0], dtype=np.float32)[:, None]
    moved = rows + 9 * _fractal(generator, shape, 0.4, stretch=4)
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * moved / generator.uniform(10, 20))
    fibres = _fractal(generator, shape, 1.0, stretch=12)
    dark = _colour(generator, 0.15, 0.4) * np.array([1.25, 1.0, 0.7])
    light = dark + generator.uniform(0.1, 0.25)
    shade = 1 + 0.15 * _fractal(generator, shape, 0.35)
    return _mixed((0.6 * rings + 0.25 + 0.12 * fibres).clip(0, 1).astype(np.float32), dark, light) * shade[..., None]


def _water(generator: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Draw waves with reflections of the sky. Near waves are larger than far ones."""
    near = np.linspace(0.1, 1, shape[0], dtype=np.float32)[:, None]
    waves = _fractal(generator, shape, 0.9, stretch=5) * (1 - near) + _fractal(generator, shape, 0.7, stretch=3) * near
    deep = _colour(generator, 0.1, 0.35) * np.array([0.7, 1.0, 1.2])
    sky = _colour(generator, 0.55, 0.85)
    mirror = (1 / (1 + np.exp(-1.5 * waves - generator.uniform(-1, 0.5))) * (1.1 - 0.5 * near)).clip(0, 1)
    glints = generator.uniform(0, 0.5) * (waves > generator.uniform(1.6, 2.4))
    return _mixed(mirror.astype(np.float32), deep, sky) + glints[..., None].astype(np.float32)


def _lights(generator: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Draw lamps at night that are out of focus. Some pictures have a sharp foreground in front of the lamps."""
    height, width = shape
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None] * np.ones((1, width), np.float32)
    picture = _mixed(down, _colour(generator, 0.05, 0.2), _colour(generator, 0.05, 0.3))
    picture *= (0.9 + 0.25 * _fractal(generator, shape, 0.85))[..., None]
    size = generator.uniform(2, 9)
    for _ in range(int(generator.integers(10, 40))):
        lamp = np.zeros((height, width), np.float32)
        x, y = generator.uniform((0, 0), (width, height))
        cv2.circle(lamp, (int(x), int(y)), max(1, int(size * generator.uniform(0.6, 1.2))), 1.0, -1, cv2.LINE_8)
        glow = generator.uniform(0.15, 0.7) * np.array([1.0, generator.uniform(0.5, 1), generator.uniform(0.1, 0.9)])
        picture += cv2.GaussianBlur(lamp, (0, 0), 1.0)[..., None] * glow
    near = 1 / (1 + np.exp(-8 * (down - generator.uniform(0.5, 1.4) + 0.1 * _fractal(generator, shape, 0.6))))
    ground = _colour(generator, 0.1, 0.35) * (0.8 + 0.3 * _fractal(generator, shape, 0.95)[..., None])
    return _mixed(near, picture, ground)


def _cloth(generator: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Draw a woven cloth with weak stripes and with folds."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    folds = _fractal(generator, shape, 0.35, stretch=float(generator.uniform(0.3, 3)))
    bent, turn = 3 * folds, generator.uniform(0, np.pi)
    along = np.cos(turn) * columns + np.sin(turn) * rows + bent
    across = np.cos(turn) * rows - np.sin(turn) * columns + bent
    thread = generator.uniform(4, 8)
    weave = np.sin(2 * np.pi * along / thread) * np.sin(2 * np.pi * across / thread)
    stripes = (0.5 + 0.5 * np.sin(2 * np.pi * along / (8 * thread))).astype(np.float32)
    first = _colour(generator)
    colours = _mixed(stripes, first, 0.7 * first + 0.3 * _colour(generator))
    light = _lit(generator.uniform(5, 12) * folds, generator)
    shade = (0.3 + 0.8 * light) * (1 + generator.uniform(0.04, 0.12) * weave)
    return np.asarray(colours * shade[..., None], np.float32)


def _fur(generator: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Draw hairs, or blades of grass, whose direction and colour change smoothly over the picture."""
    height, width = shape
    flow = generator.uniform(0, 2 * np.pi) + 0.8 * _fractal(generator, shape, 0.35)
    patches = (1 / (1 + np.exp(-3 * _fractal(generator, shape, 0.5)))).astype(np.float32)
    first = _colour(generator, 0.2, 0.7)
    colours = _mixed(patches, first, (first + generator.uniform(-0.25, 0.25)).clip(0.05, 0.9))
    picture = 0.5 * colours
    long = generator.uniform(5, 14)
    for x, y in generator.uniform((0, 0), (width, height), (2600, 2)):
        turn = flow[int(y), int(x)] + generator.normal(0, 0.15)
        end = (int(x + long * np.cos(turn)), int(y + long * np.sin(turn)))
        colour = colours[int(y), int(x)] * generator.uniform(0.5, 1.3)
        cv2.line(picture, (int(x), int(y)), end, colour.tolist(), 1, cv2.LINE_AA)
    return picture * (0.9 + 0.15 * _fractal(generator, shape, 0.6))[..., None]


_DRAW: dict[str, Callable[[np.random.Generator, tuple[int, int]], Field]] = {
    "sky": _sky,
    "terrain": _terrain,
    "leaves": _leaves,
    "pebbles": _pebbles,
    "balls": _balls,
    "wood": _wood,
    "water": _water,
    "lights": _lights,
    "cloth": _cloth,
    "fur": _fur,
}
KINDS = tuple(_DRAW)
"""Names of the kinds of pictures that can be drawn."""
