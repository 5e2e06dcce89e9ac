"""The 40 attributes of a synthetic portrait: their rates and which ones exclude each other.

If CelebA's own rate (Liu et al., "Deep Learning Face Attributes in the Wild", ICCV 2015) is at least about one in five,
the portraits have a similar rate. Rarer visible attributes are raised to between 0.12 and 0.3, since a few thousand
portraits would otherwise have too few examples: in CelebA, 2% are bald, 4% wear a moustache, 5% a hat.

Four attributes cannot be drawn. They are random at CelebA's rates, independent of the image. Nothing can be learned
about them, so they are natural examples of tasks that can only harm the others.
"""

from __future__ import annotations

import numpy as np

# In CelebA's order. Within a group of _EXCLUSIVE, the rate is conditional on no earlier member being present.
_RATES = {
    "5_o_Clock_Shadow": 0.22,
    "Arched_Eyebrows": 0.30,
    "Attractive": 0.512,
    "Bags_Under_Eyes": 0.25,
    "Bald": 0.15,
    "Bangs": 0.40,
    "Big_Lips": 0.30,
    "Big_Nose": 0.30,
    "Black_Hair": 0.28,
    "Blond_Hair": 0.33,
    "Blurry": 0.051,
    "Brown_Hair": 0.65,
    "Bushy_Eyebrows": 0.30,
    "Chubby": 0.25,
    "Double_Chin": 0.25,
    "Eyeglasses": 0.25,
    "Goatee": 0.20,
    "Gray_Hair": 0.40,
    "Heavy_Makeup": 0.387,
    "High_Cheekbones": 0.455,
    "Male": 0.417,
    "Mouth_Slightly_Open": 0.483,
    "Mustache": 0.20,
    "Narrow_Eyes": 0.25,
    "No_Beard": 1.0,  # if none of _BEARDS is present
    "Oval_Face": 0.45,
    "Pale_Skin": 0.22,
    "Pointy_Nose": 0.35,
    "Receding_Hairline": 0.45,
    "Rosy_Cheeks": 0.25,
    "Sideburns": 0.20,
    "Smiling": 0.482,
    "Straight_Hair": 0.36,
    "Wavy_Hair": 0.55,
    "Wearing_Earrings": 0.30,
    "Wearing_Hat": 0.25,
    "Wearing_Lipstick": 0.472,
    "Wearing_Necklace": 0.25,
    "Wearing_Necktie": 0.25,
    "Young": 0.774,
}

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


def sample_attributes(rng: np.random.Generator) -> dict[str, bool]:
    """Draws the attributes of one portrait.

    Args:
        rng: the portrait's random generator.

    Returns:
        The 40 attributes in CelebA's order. `No_Beard` is true if no facial hair is drawn.
    """
    present = dict(zip(_RATES, (rng.random(len(_RATES)) < list(_RATES.values())).tolist()))
    for group in _EXCLUSIVE:
        claimed = False
        for name in group:
            present[name] = present[name] and not claimed
            claimed = claimed or present[name]
    present["No_Beard"] = not any(present[name] for name in _BEARDS)
    return present
