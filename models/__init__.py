"""Networks built with the functional API: trunks, heads and ways to join them."""

from models.hard_sharing import hard_sharing

__all__ = ["hard_sharing"]
