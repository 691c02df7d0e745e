"""Makes five captions for each drawn scene, because COCO has five or more captions for each picture."""

from __future__ import annotations

from bench.data.mini.scenes import SIDE, Scene, Shape

__all__ = ["captions"]


def captions(scene: Scene) -> tuple[str, ...]:
    """Return five different phrases in lower case that describe a scene.

    Each phrase names the main shape and the colour of this shape. No phrase names every property of the scene.
    """
    main, others = scene.shapes[0], scene.shapes[1:]
    thing, word = _thing(main), scene.word.lower()
    second_thing = f" and {_thing(others[0])}" if others else ""
    second = "" if scene.texture == "plain" else f" and {scene.ground[1]}"
    return (
        f"{thing}{second_thing} on {_ground(scene)} with the word {word}",
        f"on {_ground(scene)} there is {thing}",
        f"the word {word} in {scene.ink} letters, {_ground(scene)} and {thing}",
        f"{_ground(scene, second)} behind {thing}{second_thing}",
        f"a picture with {thing} at the {_place(main)}",
    )


def _thing(shape: Shape) -> str:
    return f"{'an' if shape.colour[0] in 'aeiou' else 'a'} {shape.colour} {shape.kind}"


def _ground(scene: Scene, second: str = "") -> str:
    colours = f"{scene.ground[0]}{second}"
    match scene.texture:
        case "plain":
            return f"a plain {colours} background"
        case "gradient":
            return f"{'an' if colours[0] in 'aeiou' else 'a'} {colours} gradient"
        case texture:
            return f"{colours} {texture}"


def _place(shape: Shape) -> str:
    """Return the position of a shape's centre in words, such as `top left`, `left` or `centre`.

    For this purpose, the picture is divided into three columns and three rows of equal size.
    """
    across, down = (min(2, 3 * place // SIDE) for place in shape.centre)
    words = [word for word in (("top", "", "bottom")[down], ("left", "", "right")[across]) if word]
    return " ".join(words) or "centre"
