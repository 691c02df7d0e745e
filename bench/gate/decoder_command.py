"""The command `asymbench gate-decoder OLD NEW`, which tests whether a decoder still makes the same pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.config.schema import COMPILE, PRECISIONS
from bench.errors import BadInputError
from bench.gate.margins import ANY, DECODERS, add_margins, margins_of
from bench.runtime.text import printable
from bench.tables.grid import terminal

__all__ = ["main"]

BAD_INPUT = 2


def _arguments(arguments: list[str]) -> argparse.Namespace:
    margins = ", ".join(f"{name} {margin.amount:.3g}" for name, margin in DECODERS.items() if not margin.relative)
    others = ", ".join(f"{name} {margin}" for name, margin in DECODERS.items() if margin.relative)
    parser = argparse.ArgumentParser(
        prog="asymbench gate-decoder",
        description="Decodes the same latents with two decoders, and tests whether the pictures of NEW are still those "
        "of OLD.",
        epilog=f"Exit status: 0 pass, 3 regression, 4 cannot tell, 2 bad input. Default margins in grey levels: "
        f"{margins}. Default margins as a share of the old value: {others}. If both sides have the same weights "
        "and are used in the same way, no difference is tolerated.",
    )
    parser.add_argument(
        "old", type=Path, metavar="OLD", help="folder of an autoencoder, or of a decoder of this project"
    )
    parser.add_argument("new", type=Path, metavar="NEW", help="folder of the decoder to judge")
    parser.add_argument(
        "--encoder", type=Path, metavar="DIR", help="autoencoder whose encoder belongs to a decoder of this project"
    )
    parser.add_argument("--space", default="", metavar="NAME", help="name of the latent space of both sides")
    parser.add_argument(
        "--pictures", type=Path, metavar="DIR", help="folder of pictures; pictures are drawn without it"
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="number of pictures (32 drawn ones, or the whole folder)"
    )
    parser.add_argument("--size", type=int, metavar="N", help="side of the square pictures in pixels (128)")
    for side in ("old", "new"):
        name = side.upper()
        parser.add_argument(
            f"--{side}-precision",
            default="float32",
            metavar="TYPE",
            help=f"number type of {name}: {', '.join(PRECISIONS)}",
        )
        parser.add_argument(
            f"--{side}-tile", type=int, metavar="PIXELS", help=f"let {name} decode in overlapping tiles, or in strips"
        )
        parser.add_argument(
            f"--{side}-compile", metavar="MODE", help=f"let torch.compile compile {name}: {', '.join(COMPILE)}"
        )
    add_margins(
        parser,
        f"largest difference that is tolerated, such as share_changed=0.1 or psnr=1%%; {ANY} excludes a number",
    )
    parser.add_argument(
        "--measures",
        default="mini",
        metavar="NAME",
        help="network of lpips: mini, which needs no further file, or default, which is that of bench.score",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or another PyTorch device")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number as JSON")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit status: 0 pass, 3 regression, 4 cannot tell, 2 bad input.

    Args:
        arguments: words of the command line after `asymbench gate-decoder`.
    """
    given = _arguments(arguments)
    # The following modules import torch, which takes seconds.
    from bench.gate.decoders import DecoderSettings, DecoderUse, compare_decoders
    from bench.gate.report import print_outcome
    from bench.results.out_folder import check_writable
    from bench.runtime.files import write_json

    try:
        settings = DecoderSettings(
            old=DecoderUse(given.old_precision, given.old_tile, given.old_compile),
            new=DecoderUse(given.new_precision, given.new_tile, given.new_compile),
            space=given.space,
            encoder=given.encoder,
            pictures=given.pictures,
            limit=given.limit,
            size=given.size,
            margins=margins_of(given.margin),
            measures=given.measures,
            device=given.device,
        )
        if given.json is not None:
            check_writable(str(given.json.parent), "--json")
        found = compare_decoders(given.old, given.new, settings)
        if given.json is not None:
            try:
                given.json.parent.mkdir(parents=True, exist_ok=True)
                write_json(given.json, found.as_json())
            except OSError as error:
                raise BadInputError(f"--json: expected a file that can be written, found an error: {error}") from None
        print_outcome(found.outcome, terminal(), passed=True)
    except BadInputError as error:
        print(printable(f"asymbench gate-decoder: {error}"), file=sys.stderr)
        return BAD_INPUT
    return found.outcome.verdict.status
