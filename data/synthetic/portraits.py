"""Draws portraits similar to CelebA: (218, 178, 3) JPEGs with 40 attributes and five landmarks.

Faces are placed as in the aligned CelebA (eyes near (70, 106) and (108, 106), nose near (89, 130)), then shifted,
scaled, tilted and turned by several pixels, so that landmark detection is not trivial.

If CelebA's own rate (Liu et al., "Deep Learning Face Attributes in the Wild", ICCV 2015) is at least about one in five,
the portraits have a similar rate. Rarer visible attributes are raised to between 0.12 and 0.3, since a few thousand
portraits would otherwise have too few examples: in CelebA, 2% are bald, 4% wear a moustache, 5% a hat.

Four attributes cannot be drawn. They are random at CelebA's rates, independent of the image. Nothing can be learned
about them, so they are natural examples of tasks that can only harm the others.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from PIL import Image, ImageChops

from data.synthetic import face as faces
from data.synthetic.canvas import SUPERSAMPLING, Canvas, Colour, blend, encode, example_rng, vary

# Part of the cache folder's name: increment it with every change to the drawings.
PORTRAIT_VERSION = 3
PORTRAIT_SIZES = {"train": 4000, "validation": 500, "test": 1000}

WIDTH, HEIGHT = 178, 218
LANDMARKS = ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")

_IDENTITIES = 10_177  # number of people in CelebA
_JPEG_QUALITY = 88
_GREY = 128  # the value of zero noise
_SKINS: tuple[Colour, ...] = ((226, 172, 138), (205, 148, 110), (170, 115, 82), (140, 92, 66))
_PALE: Colour = (250, 240, 238)
_HAIR: dict[str, Colour] = {
    "Black_Hair": (18, 16, 20),
    "Blond_Hair": (240, 212, 105),
    "Gray_Hair": (165, 168, 175),
    "Brown_Hair": (98, 58, 30),
}
_DYED: tuple[Colour, ...] = ((190, 60, 25), (40, 120, 190), (200, 60, 140))
_PAINTS: tuple[Colour, ...] = ((200, 20, 60), (225, 30, 130), (150, 25, 140))
_CLOTHES: tuple[Colour, ...] = ((40, 60, 120), (60, 110, 70), (185, 90, 60), (90, 85, 95), (210, 205, 190))
_HATS: tuple[Colour, ...] = ((30, 60, 160), (30, 130, 70), (190, 30, 40), (120, 40, 130))

# In CelebA's order. Within a group of _EXCLUSIVE, the rate is conditional on no earlier member being present.
# `No_Beard` is present if none of _BEARDS is.
_WORDS = """
    5_o_Clock_Shadow 0.22  Arched_Eyebrows 0.3  Attractive 0.512  Bags_Under_Eyes 0.25  Bald 0.15  Bangs 0.4
    Big_Lips 0.3  Big_Nose 0.3  Black_Hair 0.28  Blond_Hair 0.33  Blurry 0.051  Brown_Hair 0.65  Bushy_Eyebrows 0.3
    Chubby 0.25  Double_Chin 0.25  Eyeglasses 0.25  Goatee 0.2  Gray_Hair 0.4  Heavy_Makeup 0.387
    High_Cheekbones 0.455  Male 0.417  Mouth_Slightly_Open 0.483  Mustache 0.2  Narrow_Eyes 0.25  No_Beard 1
    Oval_Face 0.45  Pale_Skin 0.22  Pointy_Nose 0.35  Receding_Hairline 0.45  Rosy_Cheeks 0.25  Sideburns 0.2
    Smiling 0.482  Straight_Hair 0.36  Wavy_Hair 0.55  Wearing_Earrings 0.3  Wearing_Hat 0.25  Wearing_Lipstick 0.472
    Wearing_Necklace 0.25  Wearing_Necktie 0.25  Young 0.774
""".split()
_RATES = dict(zip(_WORDS[::2], map(float, _WORDS[1::2])))

# At most one of each group is present: the first one drawn. A hat hides the hairline, but the hair is visible below it,
# so its colour and form remain.
_EXCLUSIVE = (
    ("Bald", "Wearing_Hat", "Bangs", "Receding_Hairline"),
    ("Bald", "Black_Hair", "Blond_Hair", "Gray_Hair", "Brown_Hair"),
    ("Bald", "Straight_Hair", "Wavy_Hair"),
    ("Chubby", "Oval_Face"),
)

_BEARDS = ("5_o_Clock_Shadow", "Goatee", "Mustache", "Sideburns")

RANDOM_ATTRIBUTES = ("Attractive", "Blurry", "Male", "Young")
DRAWN_ATTRIBUTES = tuple(name for name in _RATES if name not in RANDOM_ATTRIBUTES)


def portrait(seed: int, split: str, index: int) -> dict[str, Any]:
    """Draws portrait `index` of `split`.

    For the arguments see `data.synthetic.canvas.example_rng`.

    Returns:
        An example of TFDS' `celeb_a`: the encoded JPEG as `"image"`, and the dicts `"landmarks"` (ten ints
        `<point>_x`, `<point>_y`, in pixels), `"attributes"` (40 bools) and `"identity"` (a random number).
    """
    rng = example_rng(seed, split, index)
    has = _sample_attributes(rng)
    face = _sample_face(rng, has)
    shift_x, shift_y, scale, tilt = rng.uniform((-10, -11, 0.92, -0.1), (10, 1, 1.06, 0.1))
    canvas = Canvas(_background(rng), complex(WIDTH / 2 + shift_x, 111 + shift_y), scale, tilt)
    faces.draw(canvas, face, clothes=_pick(rng, _CLOTHES), hat=_pick(rng, _HATS))
    image = _photograph(rng, canvas.finish())
    points = map(canvas.locate, [*face.eyes, face.nose, *face.mouth_corners])
    return {
        "image": image,
        "landmarks": {
            f"{name}_{axis}": round(place)
            for name, point in zip(LANDMARKS, points)
            for axis, place in (("x", point.real), ("y", point.imag))
        },
        "attributes": has,
        "identity": {"Identity_No": int(rng.integers(1, _IDENTITIES + 1))},
    }


def _sample_face(rng: np.random.Generator, has: dict[str, bool]) -> faces.Face:
    tone = rng.random() * (len(_SKINS) - 1)
    skin = _PALE if has["Pale_Skin"] else blend(_SKINS[int(tone)], _SKINS[int(tone) + 1], tone % 1)
    colour = next((_HAIR[name] for name in _HAIR if has[name]), None) or _pick(rng, _DYED)
    hair = vary(rng, colour, 10)
    half_width, turn, mouth_width, nose_length = rng.uniform((-1.5, -1, 14, 22), (1.5, 1, 18, 26))
    half_width += 44 if has["Chubby"] else 32 if has["Oval_Face"] else 35
    return faces.Face(
        has=has,
        skin=vary(rng, skin, 5),
        hair=hair,
        beard=blend(hair, (30, 20, 15), 0.8),
        paint=_pick(rng, _PAINTS),
        half_width=half_width,
        turn=turn,
        mouth_width=mouth_width,
        nose_length=nose_length,
    )


def _background(rng: np.random.Generator) -> Image.Image:
    """Returns soft patches of muted colour."""
    base = rng.integers(80, 180) + rng.integers(-30, 31, size=3)
    patches = Image.fromarray((base + rng.integers(-35, 36, size=(4, 3, 3))).astype(np.uint8))
    # Smoothing at low resolution is faster; the steps between such similar colours are not visible.
    smooth = patches.resize((WIDTH // 4, HEIGHT // 4), Image.Resampling.BILINEAR)
    return smooth.resize((WIDTH * SUPERSAMPLING, HEIGHT * SUPERSAMPLING), Image.Resampling.NEAREST)


def _photograph(rng: np.random.Generator, image: Image.Image) -> bytes:
    """Returns the JPEG of an image with random brightness and camera noise."""
    grain = _grain()
    left, top = rng.integers(0, (grain.width - WIDTH, grain.height - HEIGHT)).tolist()
    noise = grain.crop((left, top, left + WIDTH, top + HEIGHT))
    darker = rng.uniform(1.0, 1.25)
    noisy = ImageChops.add(image, noise, darker, -round(_GREY / darker))
    return encode(noisy, "JPEG", quality=_JPEG_QUALITY)


@functools.lru_cache(maxsize=1)
def _grain() -> Image.Image:
    """Returns a large noise image. Each portrait uses a part of it, as drawing new noise would be the slowest step."""
    noise = np.random.default_rng(0).normal(_GREY, 4, size=(512, 512, 1)).round().clip(0, 255)
    return Image.fromarray(np.repeat(noise, 3, axis=2).astype(np.uint8))


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    return vary(rng, colours[rng.integers(len(colours))], 12)


def _sample_attributes(rng: np.random.Generator) -> dict[str, bool]:
    """Returns random attributes, the 40 in CelebA's order."""
    present = dict(zip(_RATES, (rng.random(len(_RATES)) < list(_RATES.values())).tolist()))
    for group in _EXCLUSIVE:
        claimed = False
        for name in group:
            present[name] = present[name] and not claimed
            claimed = claimed or present[name]
    present["No_Beard"] = not any(present[name] for name in _BEARDS)
    return present
