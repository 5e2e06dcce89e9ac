"""The hundred classes of CIFAR-100, and their two-way divisions, which define the binary tasks.

docs/datasets.md lists the divisions. Those with a meaning consist of whole superclasses. `big` has six exceptions:
crocodile, dinosaur and shark are big although other reptiles and fish are not, and baby, beaver and otter are small.
Large natural scenes, including forests, are places and do not count as living.

Those without a meaning: the classes in the order of their labels, which is alphabetical, are cut into blocks of equal
size, and every second block is labelled 1. Each has 50 classes on either side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

SUPERCLASSES: Mapping[str, tuple[str, ...]] = {
    "aquatic_mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food_containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit_and_vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household_electrical_devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household_furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large_carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large_man-made_outdoor_things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large_natural_outdoor_scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large_omnivores_and_herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium_mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect_invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small_mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles_1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles_2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}
"""Superclass -> its classes, superclasses in the order of their labels."""
CLASSES = tuple(sorted(name for names in SUPERCLASSES.values() for name in names))
"""The classes in the order of their labels."""
SUPERCLASS_OF_CLASS = tuple(
    next(label for label, names in enumerate(SUPERCLASSES.values()) if name in names) for name in CLASSES
)
"""The superclass label of each class."""

_LAND_MAMMALS = (
    "large_carnivores",
    "large_omnivores_and_herbivores",
    "medium_mammals",
    "small_mammals",
    "people",
)
_VERTEBRATES = (*_LAND_MAMMALS, "aquatic_mammals", "fish", "reptiles")
_ANIMALS = (*_VERTEBRATES, "insects", "non-insect_invertebrates")
_VEHICLES = ("vehicles_1", "vehicles_2")
_FOOD = ("food_containers", "fruit_and_vegetables")
_HOUSEHOLD = ("household_electrical_devices", "household_furniture")
_BIG = (
    "aquatic_mammals",
    "household_furniture",
    "large_carnivores",
    "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes",
    "large_omnivores_and_herbivores",
    "people",
    "trees",
    *_VEHICLES,
)
_BIG_EXCEPTIONS = ("crocodile", "dinosaur", "shark")
_SMALL_EXCEPTIONS = ("baby", "beaver", "otter")


def _labels(names: Iterable[str]) -> frozenset[int]:
    return frozenset(map(CLASSES.index, names))


def _labels_of_superclasses(superclasses: Iterable[str]) -> frozenset[int]:
    """Returns the labels of all classes in the given superclasses."""
    return _labels(name for superclass in superclasses for name in SUPERCLASSES[superclass])


def _blocks(size: int) -> frozenset[int]:
    """Returns the labels in every second block of `size` labels."""
    return frozenset(label for label in range(len(CLASSES)) if label // size % 2)


DIVISIONS: Mapping[str, frozenset[int]] = {
    "living": _labels_of_superclasses((*_ANIMALS, "flowers", "trees", "fruit_and_vegetables")),
    "big": _labels_of_superclasses(_BIG) - _labels(_SMALL_EXCEPTIONS) | _labels(_BIG_EXCEPTIONS),
    "half": _blocks(50),
    "animal": _labels_of_superclasses(_ANIMALS),
    "vertebrate": _labels_of_superclasses(_VERTEBRATES),
    "moving": _labels_of_superclasses((*_ANIMALS, *_VEHICLES)),
    "indoors": _labels_of_superclasses((*_FOOD, *_HOUSEHOLD, "people")),
    "half2": _blocks(25),
    "half3": _blocks(10),
    "half4": _blocks(5),
}
"""Binary task -> the labels of the classes labelled 1."""
